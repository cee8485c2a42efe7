// Original file: proto/paf/worker/v1/worker.proto

import type { CapabilityInput as _paf_worker_v1_CapabilityInput, Capability as _paf_worker_v1_Capability } from '../../../paf/worker/v1/Capability.js';

export interface ListCapabilitiesResponseInput {
  'capabilities'?: (_paf_worker_v1_CapabilityInput)[];
  'workerVersion'?: (string);
  'maxConcurrentTasks'?: (number);
}

export interface ListCapabilitiesResponse {
  'capabilities': (_paf_worker_v1_Capability)[];
  'workerVersion': (string);
  'maxConcurrentTasks': (number);
}
