#!/usr/bin/env bash
# Writes the types (npm run worker:types) of the protocol with the workers, from proto/ to src/workers/generated or to the folder given.
# The options belong with those of loading in src/workers/proto.ts.
set -euo pipefail
target=src/workers/generated
[ $# -eq 0 ] || target=$(realpath -- "$1")
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

node node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js \
  --longs=Number --enums=String --defaults --oneofs --grpcLib=@grpc/grpc-js \
  --inputTemplate=%sInput --outputTemplate=%s --importFileExtension=.js \
  --includeDirs=proto --outDir="$target" paf/worker/v1/worker.proto
