#!/usr/bin/env bash
# Makes a CA and certificates of it for trying mTLS between the service and its workers on this machine.
# Usage: scripts/dev-certs.sh [FOLDER]     default: certs; what is there already is replaced, but for the CA
set -euo pipefail

folder=${1:-certs}
days=30
ca_days=365

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Prints what openssl has to say only when it fails.
quietly() {
  local output
  output=$("$@" 2>&1) || die "$output"
}

make_ca() {
  [ ! -f ca.key ] || ! openssl x509 -in ca.crt -noout -checkend $((days * 86400)) >/dev/null 2>&1 || return 0
  quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days "$ca_days" \
    -subj '/CN=paf-core-agent development CA' -keyout ca.key -out ca.crt \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# make_certificate NAME USAGE: both files are complete when they get their names.
make_certificate() {
  quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
    -subj "/CN=paf-core-agent $1" -keyout "$1.key.new" -out "$1.csr"
  printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
    "extendedKeyUsage=$2" 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' >"$1.ext"
  quietly openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days "$days" \
    -extfile "$1.ext" -out "$1.crt.new"
  mv "$1.key.new" "$1.key"
  mv "$1.crt.new" "$1.crt"
  rm -f "$1.csr" "$1.ext"
}

command -v openssl >/dev/null || die 'openssl is needed: install it (apt-get install openssl, brew install openssl).'
umask 077
mkdir -p -- "$folder"
cd -- "$folder"
make_ca
make_certificate server serverAuth
make_certificate client clientAuth

cat <<END
The certificates are in $PWD, for $days days.

For the worker:
  export WORKER_TLS_CA_FILE=$PWD/ca.crt
  export WORKER_TLS_CERT_FILE=$PWD/server.crt
  export WORKER_TLS_KEY_FILE=$PWD/server.key

For the service:
  export WORKER_TLS_CA_FILE=$PWD/ca.crt
  export WORKER_TLS_CERT_FILE=$PWD/client.crt
  export WORKER_TLS_KEY_FILE=$PWD/client.key
END
