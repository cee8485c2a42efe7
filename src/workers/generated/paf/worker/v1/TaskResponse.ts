// Original file: proto/paf/worker/v1/worker.proto

import type { TaskDataInput as _paf_worker_v1_TaskDataInput, TaskData as _paf_worker_v1_TaskData } from '../../../paf/worker/v1/TaskData.js';
import type { DurationInput as _google_protobuf_DurationInput, Duration as _google_protobuf_Duration } from '../../../google/protobuf/Duration.js';
import type { StructInput as _google_protobuf_StructInput, Struct as _google_protobuf_Struct } from '../../../google/protobuf/Struct.js';

export interface TaskResponseInput {
  'taskId'?: (string);
  'success'?: (boolean);
  'result'?: (_paf_worker_v1_TaskDataInput | null);
  'error'?: (string);
  'executionTime'?: (_google_protobuf_DurationInput | null);
  'metadata'?: (_google_protobuf_StructInput | null);
  '_error'?: "error";
  '_metadata'?: "metadata";
}

export interface TaskResponse {
  'taskId': (string);
  'success': (boolean);
  'result': (_paf_worker_v1_TaskData | null);
  'error'?: (string);
  'executionTime': (_google_protobuf_Duration | null);
  'metadata'?: (_google_protobuf_Struct | null);
  '_error'?: "error";
  '_metadata'?: "metadata";
}
