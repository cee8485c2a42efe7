// Original file: proto/paf/worker/v1/worker.proto

import type { StructInput as _google_protobuf_StructInput, Struct as _google_protobuf_Struct } from '../../../google/protobuf/Struct.js';

export interface TaskDataInput {
  'structured'?: (_google_protobuf_StructInput | null);
  'raw'?: (Buffer | Uint8Array | string);
  'contentType'?: (string);
  'data'?: "structured"|"raw";
}

export interface TaskData {
  'structured'?: (_google_protobuf_Struct | null);
  'raw'?: (Buffer);
  'contentType': (string);
  'data'?: "structured"|"raw";
}
