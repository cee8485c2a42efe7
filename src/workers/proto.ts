import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/worker.js';

/** The name under which a worker's health is told. */
export const workerServiceName = 'paf.worker.v1.WorkerAgent';

/** The folder of the .proto files: the same seen from src and from dist. */
const protoFolder = fileURLToPath(new URL('../../proto', import.meta.url));

/** What the .proto file defines. Field names become camelCase, enums their names, 64-bit numbers plain ones. */
export function loadWorkerProto(): {
  definition: PackageDefinition;
  WorkerAgent: ProtoGrpcType['paf']['worker']['v1']['WorkerAgent'];
} {
  const definition = loadSync('paf/worker/v1/worker.proto', {
    includeDirs: [protoFolder],
    // the same as in scripts/generate-worker-types.sh
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  // asked for by way of the whole module, in which tracing replaces it
  const types = grpc.loadPackageDefinition(definition) as unknown as ProtoGrpcType;
  return { definition, WorkerAgent: types.paf.worker.v1.WorkerAgent };
}
