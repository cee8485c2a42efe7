// Original file: proto/paf/worker/v1/worker.proto


export interface TaskErrorInput {
  'code'?: (string);
  'message'?: (string);
  'retryable'?: (boolean);
}

export interface TaskError {
  'code': (string);
  'message': (string);
  'retryable': (boolean);
}
