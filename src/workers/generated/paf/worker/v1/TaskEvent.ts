// Original file: proto/paf/worker/v1/worker.proto

import type { TaskAcceptedInput as _paf_worker_v1_TaskAcceptedInput, TaskAccepted as _paf_worker_v1_TaskAccepted } from '../../../paf/worker/v1/TaskAccepted.js';
import type { TaskProgressInput as _paf_worker_v1_TaskProgressInput, TaskProgress as _paf_worker_v1_TaskProgress } from '../../../paf/worker/v1/TaskProgress.js';
import type { TaskDataInput as _paf_worker_v1_TaskDataInput, TaskData as _paf_worker_v1_TaskData } from '../../../paf/worker/v1/TaskData.js';
import type { TaskResponseInput as _paf_worker_v1_TaskResponseInput, TaskResponse as _paf_worker_v1_TaskResponse } from '../../../paf/worker/v1/TaskResponse.js';
import type { TaskErrorInput as _paf_worker_v1_TaskErrorInput, TaskError as _paf_worker_v1_TaskError } from '../../../paf/worker/v1/TaskError.js';

export interface TaskEventInput {
  'taskId'?: (string);
  'accepted'?: (_paf_worker_v1_TaskAcceptedInput | null);
  'progress'?: (_paf_worker_v1_TaskProgressInput | null);
  'partialOutput'?: (_paf_worker_v1_TaskDataInput | null);
  'result'?: (_paf_worker_v1_TaskResponseInput | null);
  'error'?: (_paf_worker_v1_TaskErrorInput | null);
  'event'?: "accepted"|"progress"|"partialOutput"|"result"|"error";
}

export interface TaskEvent {
  'taskId': (string);
  'accepted'?: (_paf_worker_v1_TaskAccepted | null);
  'progress'?: (_paf_worker_v1_TaskProgress | null);
  'partialOutput'?: (_paf_worker_v1_TaskData | null);
  'result'?: (_paf_worker_v1_TaskResponse | null);
  'error'?: (_paf_worker_v1_TaskError | null);
  'event'?: "accepted"|"progress"|"partialOutput"|"result"|"error";
}
