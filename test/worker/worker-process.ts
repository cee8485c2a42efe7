import {
  ChannelCredentials,
  type ClientReadableStream,
  makeClientConstructor,
  type ServiceDefinition,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { onTestFinished } from 'vitest';
import type { TaskEvent } from '../../src/workers/generated/paf/worker/v1/TaskEvent.ts';
import type { TaskRequestInput } from '../../src/workers/generated/paf/worker/v1/TaskRequest.ts';
import type { TaskStatus } from '../../src/workers/generated/paf/worker/v1/TaskStatus.ts';
import type { WorkerAgentClient } from '../../src/workers/generated/paf/worker/v1/WorkerAgent.ts';
import { loadWorkerProto } from '../../src/workers/proto.ts';
import { fromStruct, toStruct } from '../../src/workers/struct.ts';
import { type ServiceProcess, spawnBuilt } from '../process/service-process.ts';

const { WorkerAgent } = loadWorkerProto();

export type WorkerProcess = Omit<ServiceProcess, 'url'> & { port: number; client: WorkerAgentClient };

/** The built worker in a process of its own with a client of it; the test's end, or another one, closes both. */
export async function startWorker(
  env: Record<string, string> = {},
  credentials = ChannelCredentials.createInsecure(),
  atEnd: (close: () => void) => void = onTestFinished,
): Promise<WorkerProcess> {
  const worker = spawnBuilt('worker-main', { HOST: '127.0.0.1', WORKER_PORT: '0', ...env }, atEnd);
  const stopped = worker.exited.then((code) => {
    throw new Error(`the worker ended with ${code}: ${worker.stderr()}`);
  });
  await Promise.race([worker.waitForOutput(/worker ready on 127\.0\.0\.1:\d+/), stopped]);
  stopped.catch(() => {});
  const port = Number(/worker ready on 127\.0\.0\.1:(\d+)/.exec(worker.stdout())?.[1]);
  return { ...worker, port, client: connect(port, credentials, atEnd) };
}

export function connect(
  port: number,
  credentials = ChannelCredentials.createInsecure(),
  atEnd: (close: () => void) => void = onTestFinished,
): WorkerAgentClient {
  const client = new WorkerAgent(`localhost:${port}`, credentials, {
    'grpc.max_send_message_length': -1,
    // a channel of its own, also beside another one to the same port
    'grpc.use_local_subchannel_pool': 1,
  });
  atEnd(() => client.close());
  return client;
}

/** A request with an id of its own. */
export const taskOf = (
  taskType: string,
  payload: object,
  rest: Partial<TaskRequestInput> = {},
): TaskRequestInput => ({
  taskId: crypto.randomUUID(),
  taskType,
  payload: { structured: toStruct(payload) },
  ...rest,
});

export type Ended = { code: string; details: string; events: TaskEvent[] };

/** Collects the events of a call and how it ended. */
export async function collectCall(call: ClientReadableStream<TaskEvent>): Promise<Ended> {
  const events: TaskEvent[] = [];
  call.on('data', (event: TaskEvent) => events.push(event));
  // the status says the same
  call.on('error', () => {});
  const { code, details } = await new Promise<StatusObject>((resolve) => call.on('status', resolve));
  return { code: status[code] as string, details, events };
}

/** Runs a task to its end. */
export const runTask = (client: WorkerAgentClient, request: TaskRequestInput, deadlineMs = 20_000) =>
  collectCall(client.executeTask(request, { deadline: Date.now() + deadlineMs }));

/** What a task answers; the reason, when it was refused. */
export async function answerOf(
  client: WorkerAgentClient,
  taskType: string,
  payload: object,
): Promise<unknown> {
  const { code, details, events } = await runTask(client, taskOf(taskType, payload));
  const last = events.at(-1);
  if (code !== 'OK' || !last?.result) return { code, details, error: last?.error };
  const { result, error } = last.result;
  return result?.structured ? fromStruct(result.structured) : error;
}

/** Resolves with the first event of a kind. */
export const nextEvent = (call: ClientReadableStream<TaskEvent>, kind: TaskEvent['event']) =>
  new Promise<TaskEvent>((resolve) => {
    const look = (event: TaskEvent) => {
      if (event.event !== kind) return;
      call.off('data', look);
      resolve(event);
    };
    call.on('data', look);
  });

export const statusOf = (client: WorkerAgentClient, taskId: string) =>
  new Promise<TaskStatus | string>((resolve, reject) => {
    client.getTaskStatus({ taskId }, (error, value) => {
      if (error?.code === status.NOT_FOUND) resolve('NOT_FOUND');
      else if (error || !value) reject(error);
      else resolve(value);
    });
  });

const Health = makeClientConstructor(healthService as ServiceDefinition, 'Health');

function healthClient(port: number) {
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  const client = new Health(`localhost:${port}`, ChannelCredentials.createInsecure(), options);
  onTestFinished(() => client.close());
  return client;
}

/** The health of a service, or the status that the question ends with. */
export const checkService = (port: number, service: string) =>
  new Promise<string | undefined>((resolve) => {
    healthClient(port).check?.({ service }, (error: ServiceError | null, answer?: { status: string }) =>
      resolve(error ? status[error.code] : answer?.status),
    );
  });

/** Watches the health of a service; `next` gives one state after the other, at last the status that ends the watch. */
export function watchHealth(port: number, service: string): { next(): Promise<string> } {
  const states: string[] = [];
  const waiting: ((state: string) => void)[] = [];
  const tell = (state: string) => {
    const resolve = waiting.shift();
    if (resolve) resolve(state);
    else states.push(state);
  };
  const call = healthClient(port).watch?.({ service }) as ClientReadableStream<{ status: string }>;
  call.on('data', (answer) => tell(answer.status));
  call.on('error', (error: ServiceError) => tell(status[error.code] as string));
  onTestFinished(() => call.cancel());
  return {
    next: () =>
      new Promise((resolve) => {
        const state = states.shift();
        if (state === undefined) waiting.push(resolve);
        else resolve(state);
      }),
  };
}

/** Work for several seconds; less with fewer words to look for. */
export function longTask(rest: Partial<TaskRequestInput> = {}, words = 100): TaskRequestInput {
  const needles = Array.from({ length: words }, (_, index) => `needle${index}`);
  const query = `again one ${needles.join(' ')}`;
  return taskOf('text_search', { documents: [{ name: 'long', text: longText }], query }, rest);
}

const longText = 'one two three four five six seven eight nine ten, again and again\n'.repeat(400_000);
