// Original file: proto/paf/worker/v1/worker.proto


export interface ListCapabilitiesRequestInput {
}

export interface ListCapabilitiesRequest {
}
