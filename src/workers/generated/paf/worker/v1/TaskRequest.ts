// Original file: proto/paf/worker/v1/worker.proto

import type { TaskDataInput as _paf_worker_v1_TaskDataInput, TaskData as _paf_worker_v1_TaskData } from '../../../paf/worker/v1/TaskData.js';
import type { StructInput as _google_protobuf_StructInput, Struct as _google_protobuf_Struct } from '../../../google/protobuf/Struct.js';
import type { DurationInput as _google_protobuf_DurationInput, Duration as _google_protobuf_Duration } from '../../../google/protobuf/Duration.js';

export interface TaskRequestInput {
  'taskId'?: (string);
  'taskType'?: (string);
  'payload'?: (_paf_worker_v1_TaskDataInput | null);
  'context'?: (_google_protobuf_StructInput | null);
  'timeout'?: (_google_protobuf_DurationInput | null);
  'priority'?: (number);
  '_context'?: "context";
}

export interface TaskRequest {
  'taskId': (string);
  'taskType': (string);
  'payload': (_paf_worker_v1_TaskData | null);
  'context'?: (_google_protobuf_Struct | null);
  'timeout': (_google_protobuf_Duration | null);
  'priority': (number);
  '_context'?: "context";
}
