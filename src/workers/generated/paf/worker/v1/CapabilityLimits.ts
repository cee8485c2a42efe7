// Original file: proto/paf/worker/v1/worker.proto

import type { DurationInput as _google_protobuf_DurationInput, Duration as _google_protobuf_Duration } from '../../../google/protobuf/Duration.js';

export interface CapabilityLimitsInput {
  'maxPayloadBytes'?: (number);
  'maxResultBytes'?: (number);
  'maxDuration'?: (_google_protobuf_DurationInput | null);
}

export interface CapabilityLimits {
  'maxPayloadBytes': (number);
  'maxResultBytes': (number);
  'maxDuration': (_google_protobuf_Duration | null);
}
