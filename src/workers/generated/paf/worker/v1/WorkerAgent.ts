// Original file: proto/paf/worker/v1/worker.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetTaskStatusRequestInput as _paf_worker_v1_GetTaskStatusRequestInput, GetTaskStatusRequest as _paf_worker_v1_GetTaskStatusRequest } from '../../../paf/worker/v1/GetTaskStatusRequest.js';
import type { ListCapabilitiesRequestInput as _paf_worker_v1_ListCapabilitiesRequestInput, ListCapabilitiesRequest as _paf_worker_v1_ListCapabilitiesRequest } from '../../../paf/worker/v1/ListCapabilitiesRequest.js';
import type { ListCapabilitiesResponseInput as _paf_worker_v1_ListCapabilitiesResponseInput, ListCapabilitiesResponse as _paf_worker_v1_ListCapabilitiesResponse } from '../../../paf/worker/v1/ListCapabilitiesResponse.js';
import type { TaskEventInput as _paf_worker_v1_TaskEventInput, TaskEvent as _paf_worker_v1_TaskEvent } from '../../../paf/worker/v1/TaskEvent.js';
import type { TaskRequestInput as _paf_worker_v1_TaskRequestInput, TaskRequest as _paf_worker_v1_TaskRequest } from '../../../paf/worker/v1/TaskRequest.js';
import type { TaskStatusInput as _paf_worker_v1_TaskStatusInput, TaskStatus as _paf_worker_v1_TaskStatus } from '../../../paf/worker/v1/TaskStatus.js';

export interface WorkerAgentClient extends grpc.Client {
  ExecuteTask(argument: _paf_worker_v1_TaskRequestInput, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_paf_worker_v1_TaskEvent>;
  ExecuteTask(argument: _paf_worker_v1_TaskRequestInput, options?: grpc.CallOptions): grpc.ClientReadableStream<_paf_worker_v1_TaskEvent>;
  executeTask(argument: _paf_worker_v1_TaskRequestInput, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_paf_worker_v1_TaskEvent>;
  executeTask(argument: _paf_worker_v1_TaskRequestInput, options?: grpc.CallOptions): grpc.ClientReadableStream<_paf_worker_v1_TaskEvent>;
  
  GetTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  GetTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  GetTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  GetTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  getTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  getTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  getTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  getTaskStatus(argument: _paf_worker_v1_GetTaskStatusRequestInput, callback: grpc.requestCallback<_paf_worker_v1_TaskStatus>): grpc.ClientUnaryCall;
  
  ListCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  ListCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  ListCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  ListCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  listCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  listCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, metadata: grpc.Metadata, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  listCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, options: grpc.CallOptions, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  listCapabilities(argument: _paf_worker_v1_ListCapabilitiesRequestInput, callback: grpc.requestCallback<_paf_worker_v1_ListCapabilitiesResponse>): grpc.ClientUnaryCall;
  
}

export interface WorkerAgentHandlers extends grpc.UntypedServiceImplementation {
  ExecuteTask: grpc.handleServerStreamingCall<_paf_worker_v1_TaskRequest, _paf_worker_v1_TaskEventInput>;
  
  GetTaskStatus: grpc.handleUnaryCall<_paf_worker_v1_GetTaskStatusRequest, _paf_worker_v1_TaskStatusInput>;
  
  ListCapabilities: grpc.handleUnaryCall<_paf_worker_v1_ListCapabilitiesRequest, _paf_worker_v1_ListCapabilitiesResponseInput>;
  
}

export interface WorkerAgentDefinition extends grpc.ServiceDefinition {
  ExecuteTask: MethodDefinition<_paf_worker_v1_TaskRequestInput, _paf_worker_v1_TaskEventInput, _paf_worker_v1_TaskRequest, _paf_worker_v1_TaskEvent>
  GetTaskStatus: MethodDefinition<_paf_worker_v1_GetTaskStatusRequestInput, _paf_worker_v1_TaskStatusInput, _paf_worker_v1_GetTaskStatusRequest, _paf_worker_v1_TaskStatus>
  ListCapabilities: MethodDefinition<_paf_worker_v1_ListCapabilitiesRequestInput, _paf_worker_v1_ListCapabilitiesResponseInput, _paf_worker_v1_ListCapabilitiesRequest, _paf_worker_v1_ListCapabilitiesResponse>
}
