// Original file: proto/paf/worker/v1/worker.proto


export interface TaskProgressInput {
  'fraction'?: (number | string);
  'message'?: (string);
}

export interface TaskProgress {
  'fraction': (number);
  'message': (string);
}
