// Original file: proto/paf/worker/v1/worker.proto

import type { TaskStateInput as _paf_worker_v1_TaskStateInput, TaskState as _paf_worker_v1_TaskState } from '../../../paf/worker/v1/TaskState.js';
import type { TimestampInput as _google_protobuf_TimestampInput, Timestamp as _google_protobuf_Timestamp } from '../../../google/protobuf/Timestamp.js';

export interface TaskStatusInput {
  'taskId'?: (string);
  'status'?: (_paf_worker_v1_TaskStateInput);
  'progress'?: (number | string);
  'startedAt'?: (_google_protobuf_TimestampInput | null);
  'completedAt'?: (_google_protobuf_TimestampInput | null);
  'error'?: (string);
  '_error'?: "error";
}

export interface TaskStatus {
  'taskId': (string);
  'status': (_paf_worker_v1_TaskState);
  'progress': (number);
  'startedAt': (_google_protobuf_Timestamp | null);
  'completedAt': (_google_protobuf_Timestamp | null);
  'error'?: (string);
  '_error'?: "error";
}
