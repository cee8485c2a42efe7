// Original file: proto/paf/worker/v1/worker.proto


export interface TaskAcceptedInput {
  'attached'?: (boolean);
}

export interface TaskAccepted {
  'attached': (boolean);
}
