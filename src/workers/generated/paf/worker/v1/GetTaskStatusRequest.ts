// Original file: proto/paf/worker/v1/worker.proto


export interface GetTaskStatusRequestInput {
  'taskId'?: (string);
}

export interface GetTaskStatusRequest {
  'taskId': (string);
}
