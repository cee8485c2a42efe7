import {
  logVerbosity,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
  setLogVerbosity,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import type { TaskEventInput } from '../workers/generated/paf/worker/v1/TaskEvent.js';
import type { TaskRequest } from '../workers/generated/paf/worker/v1/TaskRequest.js';
import type { WorkerAgentHandlers } from '../workers/generated/paf/worker/v1/WorkerAgent.js';
import { loadWorkerProto, workerServiceName } from '../workers/proto.js';
import { capabilities } from './capabilities.js';
import { createCertificates } from './certificates.js';
import { maxRequestBytes } from './limits.js';
import { createRequestReader } from './read-request.js';
import { CallRefusal, stopping } from './refusal.js';
import { createTasks, type Tasks } from './tasks.js';

export interface WorkerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type WorkerOptions = {
  host: string;
  port: number;
  version: string;
  maxTasks: number;
  drainTimeoutMs: number;
  tls: { certFile: string; keyFile: string; caFile: string | undefined } | undefined;
};

export interface WorkerServer {
  /** Resolves with the port, once calls are answered. */
  start(): Promise<number>;
  readonly runningCount: number;
  /** Lets running tasks finish, as long as they may, then ends all connections. */
  stop(): Promise<void>;
}

type Call = ServerWritableStream<TaskRequest, TaskEventInput>;
type HealthWatch = ServerWritableStream<unknown, unknown>;
type HealthHandler = (call: HealthWatch) => void;

/** How long callers get to take the last bytes. */
const lastBytesMs = 1_000;

/** A real worker: the WorkerAgent service with health and reflection. */
export function createWorkerServer(
  options: WorkerOptions,
  log: WorkerLog,
  describeError: (error: unknown) => object,
): WorkerServer {
  const tasks = createTasks(options.maxTasks, ({ taskId, taskType, state, ms, code, cause }) => {
    const about = { task_id: taskId, task_type: taskType, state, duration_ms: ms, code };
    if (cause) log.error({ ...about, error: describeError(cause) }, 'task failed');
    else log.info(about, 'task ended');
  });
  const certificates = options.tls
    ? createCertificates(
        options.tls,
        () => log.info({}, 'certificates replaced'),
        (error) =>
          log.warn({ error: describeError(error) }, 'certificates cannot be used; the old ones go on'),
      )
    : undefined;
  const health = new HealthImplementation({ '': 'SERVING', [workerServiceName]: 'SERVING' });
  const watches = new Set<HealthWatch>();
  // what it logs is told to the caller as well
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    // a caller behind a dead connection must not keep its task running
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  const { definition, WorkerAgent } = loadWorkerProto();
  server.addService(WorkerAgent.service, createHandlers(options, tasks, log));
  addHealth(server, health, watches);
  new ReflectionService({ ...definition, ...loadSync(healthProto) }).addToServer(server);

  return {
    start: () =>
      new Promise((resolve, reject) => {
        const host = options.host.includes(':') ? `[${options.host}]` : options.host;
        const credentials = certificates?.credentials ?? ServerCredentials.createInsecure();
        server.bindAsync(`${host}:${options.port}`, credentials, (error, port) =>
          error ? reject(error) : resolve(port),
        );
      }),
    get runningCount() {
      return tasks.runningCount;
    },
    async stop() {
      health.setStatus('', 'NOT_SERVING');
      health.setStatus(workerServiceName, 'NOT_SERVING');
      await tasks.drain(options.drainTimeoutMs);
      certificates?.close();
      await endConnections(server, watches);
    },
  };
}

/** Watches never end by themselves, so that they must be known to end them. */
function addHealth(server: Server, health: HealthImplementation, watches: Set<HealthWatch>): void {
  health.addToServer({
    addService(definition, { watch, ...others }) {
      const watchAndKnow: HealthHandler = (call) => {
        watches.add(call);
        call.once('cancelled', () => watches.delete(call));
        (watch as HealthHandler)(call);
      };
      server.addService(definition, { ...others, watch: watchAndKnow } as UntypedServiceImplementation);
    },
  });
}

/** Calls get the time to hand over their last bytes; whatever is open then is cut. */
async function endConnections(server: Server, watches: Set<HealthWatch>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, lastBytesMs);
  for (const watch of watches) watch.emit('error', new CallRefusal(status.UNAVAILABLE, stopping));
  server.tryShutdown(() => resolve());
  await promise;
  clearTimeout(timer);
  server.forceShutdown();
}

function createHandlers(
  { version, maxTasks }: WorkerOptions,
  tasks: Tasks,
  log: WorkerLog,
): WorkerAgentHandlers {
  const readRequest = createRequestReader();

  function execute(call: Call): void {
    const about = {
      task_id: call.request.taskId.slice(0, 128),
      request_id: firstOf(call.metadata, 'x-request-id'),
    };
    try {
      const leave = tasks.follow(readRequest(call.request), (event) => {
        if (call.cancelled) return;
        call.write(event);
        if (event.result || event.error) call.end();
      });
      call.once('cancelled', leave);
      log.info(
        { ...about, task_type: call.request.taskType, trace: firstOf(call.metadata, 'traceparent') },
        'task accepted',
      );
    } catch (error) {
      const refusal = toRefusal(error);
      log.warn({ ...about, code: status[refusal.code] }, 'task refused');
      call.emit('error', refusal);
    }
  }

  return {
    ExecuteTask: execute,
    ListCapabilities: (_call, callback) =>
      callback(null, { capabilities, workerVersion: version, maxConcurrentTasks: maxTasks }),
    GetTaskStatus: (call, callback) => {
      const found = tasks.statusOf(call.request.taskId);
      if (found) callback(null, found);
      else
        callback(
          new CallRefusal(
            status.NOT_FOUND,
            'There is no task with this task_id here.',
          ) as unknown as ServiceError,
        );
    },
  };
}

function toRefusal(error: unknown): CallRefusal {
  return error instanceof CallRefusal ? error : new CallRefusal(status.INTERNAL, 'The worker failed.');
}

const firstOf = (metadata: Metadata, name: string) => metadata.get(name)[0]?.toString().slice(0, 200);
