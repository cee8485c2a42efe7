import type { CapabilityInput } from '../workers/generated/paf/worker/v1/Capability.js';
import { maxRequestBytes, maxResultBytes, maxTaskMs } from './limits.js';
import { taskTypes } from './tasks/task-types.js';

export const capabilities: CapabilityInput[] = taskTypes.map(({ name, version, description, schema }) => ({
  taskType: name,
  version,
  description,
  payloadSchema: JSON.stringify(schema),
  limits: {
    maxPayloadBytes: maxRequestBytes,
    maxResultBytes,
    maxDuration: { seconds: maxTaskMs / 1000 },
  },
}));
