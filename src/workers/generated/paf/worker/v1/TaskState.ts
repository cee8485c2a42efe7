// Original file: proto/paf/worker/v1/worker.proto

export const TaskState = {
  TASK_STATE_UNSPECIFIED: 'TASK_STATE_UNSPECIFIED',
  TASK_STATE_PENDING: 'TASK_STATE_PENDING',
  TASK_STATE_RUNNING: 'TASK_STATE_RUNNING',
  TASK_STATE_COMPLETED: 'TASK_STATE_COMPLETED',
  TASK_STATE_FAILED: 'TASK_STATE_FAILED',
  TASK_STATE_CANCELLED: 'TASK_STATE_CANCELLED',
} as const;

export type TaskStateInput =
  | 'TASK_STATE_UNSPECIFIED'
  | 0
  | 'TASK_STATE_PENDING'
  | 1
  | 'TASK_STATE_RUNNING'
  | 2
  | 'TASK_STATE_COMPLETED'
  | 3
  | 'TASK_STATE_FAILED'
  | 4
  | 'TASK_STATE_CANCELLED'
  | 5

export type TaskState = typeof TaskState[keyof typeof TaskState]
