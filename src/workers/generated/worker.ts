import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { DurationInput as _google_protobuf_DurationInput, Duration as _google_protobuf_Duration } from './google/protobuf/Duration.js';
import type { ListValueInput as _google_protobuf_ListValueInput, ListValue as _google_protobuf_ListValue } from './google/protobuf/ListValue.js';
import type { StructInput as _google_protobuf_StructInput, Struct as _google_protobuf_Struct } from './google/protobuf/Struct.js';
import type { TimestampInput as _google_protobuf_TimestampInput, Timestamp as _google_protobuf_Timestamp } from './google/protobuf/Timestamp.js';
import type { ValueInput as _google_protobuf_ValueInput, Value as _google_protobuf_Value } from './google/protobuf/Value.js';
import type { CapabilityInput as _paf_worker_v1_CapabilityInput, Capability as _paf_worker_v1_Capability } from './paf/worker/v1/Capability.js';
import type { CapabilityLimitsInput as _paf_worker_v1_CapabilityLimitsInput, CapabilityLimits as _paf_worker_v1_CapabilityLimits } from './paf/worker/v1/CapabilityLimits.js';
import type { GetTaskStatusRequestInput as _paf_worker_v1_GetTaskStatusRequestInput, GetTaskStatusRequest as _paf_worker_v1_GetTaskStatusRequest } from './paf/worker/v1/GetTaskStatusRequest.js';
import type { ListCapabilitiesRequestInput as _paf_worker_v1_ListCapabilitiesRequestInput, ListCapabilitiesRequest as _paf_worker_v1_ListCapabilitiesRequest } from './paf/worker/v1/ListCapabilitiesRequest.js';
import type { ListCapabilitiesResponseInput as _paf_worker_v1_ListCapabilitiesResponseInput, ListCapabilitiesResponse as _paf_worker_v1_ListCapabilitiesResponse } from './paf/worker/v1/ListCapabilitiesResponse.js';
import type { TaskAcceptedInput as _paf_worker_v1_TaskAcceptedInput, TaskAccepted as _paf_worker_v1_TaskAccepted } from './paf/worker/v1/TaskAccepted.js';
import type { TaskDataInput as _paf_worker_v1_TaskDataInput, TaskData as _paf_worker_v1_TaskData } from './paf/worker/v1/TaskData.js';
import type { TaskErrorInput as _paf_worker_v1_TaskErrorInput, TaskError as _paf_worker_v1_TaskError } from './paf/worker/v1/TaskError.js';
import type { TaskEventInput as _paf_worker_v1_TaskEventInput, TaskEvent as _paf_worker_v1_TaskEvent } from './paf/worker/v1/TaskEvent.js';
import type { TaskProgressInput as _paf_worker_v1_TaskProgressInput, TaskProgress as _paf_worker_v1_TaskProgress } from './paf/worker/v1/TaskProgress.js';
import type { TaskRequestInput as _paf_worker_v1_TaskRequestInput, TaskRequest as _paf_worker_v1_TaskRequest } from './paf/worker/v1/TaskRequest.js';
import type { TaskResponseInput as _paf_worker_v1_TaskResponseInput, TaskResponse as _paf_worker_v1_TaskResponse } from './paf/worker/v1/TaskResponse.js';
import type { TaskStatusInput as _paf_worker_v1_TaskStatusInput, TaskStatus as _paf_worker_v1_TaskStatus } from './paf/worker/v1/TaskStatus.js';
import type { WorkerAgentClient as _paf_worker_v1_WorkerAgentClient, WorkerAgentDefinition as _paf_worker_v1_WorkerAgentDefinition } from './paf/worker/v1/WorkerAgent.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Duration: MessageTypeDefinition<_google_protobuf_DurationInput, _google_protobuf_Duration>
      ListValue: MessageTypeDefinition<_google_protobuf_ListValueInput, _google_protobuf_ListValue>
      NullValue: EnumTypeDefinition
      Struct: MessageTypeDefinition<_google_protobuf_StructInput, _google_protobuf_Struct>
      Timestamp: MessageTypeDefinition<_google_protobuf_TimestampInput, _google_protobuf_Timestamp>
      Value: MessageTypeDefinition<_google_protobuf_ValueInput, _google_protobuf_Value>
    }
  }
  paf: {
    worker: {
      v1: {
        Capability: MessageTypeDefinition<_paf_worker_v1_CapabilityInput, _paf_worker_v1_Capability>
        CapabilityLimits: MessageTypeDefinition<_paf_worker_v1_CapabilityLimitsInput, _paf_worker_v1_CapabilityLimits>
        GetTaskStatusRequest: MessageTypeDefinition<_paf_worker_v1_GetTaskStatusRequestInput, _paf_worker_v1_GetTaskStatusRequest>
        ListCapabilitiesRequest: MessageTypeDefinition<_paf_worker_v1_ListCapabilitiesRequestInput, _paf_worker_v1_ListCapabilitiesRequest>
        ListCapabilitiesResponse: MessageTypeDefinition<_paf_worker_v1_ListCapabilitiesResponseInput, _paf_worker_v1_ListCapabilitiesResponse>
        TaskAccepted: MessageTypeDefinition<_paf_worker_v1_TaskAcceptedInput, _paf_worker_v1_TaskAccepted>
        TaskData: MessageTypeDefinition<_paf_worker_v1_TaskDataInput, _paf_worker_v1_TaskData>
        TaskError: MessageTypeDefinition<_paf_worker_v1_TaskErrorInput, _paf_worker_v1_TaskError>
        TaskEvent: MessageTypeDefinition<_paf_worker_v1_TaskEventInput, _paf_worker_v1_TaskEvent>
        TaskProgress: MessageTypeDefinition<_paf_worker_v1_TaskProgressInput, _paf_worker_v1_TaskProgress>
        TaskRequest: MessageTypeDefinition<_paf_worker_v1_TaskRequestInput, _paf_worker_v1_TaskRequest>
        TaskResponse: MessageTypeDefinition<_paf_worker_v1_TaskResponseInput, _paf_worker_v1_TaskResponse>
        TaskState: EnumTypeDefinition
        TaskStatus: MessageTypeDefinition<_paf_worker_v1_TaskStatusInput, _paf_worker_v1_TaskStatus>
        WorkerAgent: SubtypeConstructor<typeof grpc.Client, _paf_worker_v1_WorkerAgentClient> & { service: _paf_worker_v1_WorkerAgentDefinition }
      }
    }
  }
}

