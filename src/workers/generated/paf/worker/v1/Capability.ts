// Original file: proto/paf/worker/v1/worker.proto

import type { CapabilityLimitsInput as _paf_worker_v1_CapabilityLimitsInput, CapabilityLimits as _paf_worker_v1_CapabilityLimits } from '../../../paf/worker/v1/CapabilityLimits.js';

export interface CapabilityInput {
  'taskType'?: (string);
  'description'?: (string);
  'payloadSchema'?: (string);
  'limits'?: (_paf_worker_v1_CapabilityLimitsInput | null);
  'version'?: (string);
}

export interface Capability {
  'taskType': (string);
  'description': (string);
  'payloadSchema': (string);
  'limits': (_paf_worker_v1_CapabilityLimits | null);
  'version': (string);
}
