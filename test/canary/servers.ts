import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { onTestFinished } from 'vitest';
import type { TaskEventInput } from '../../src/workers/generated/paf/worker/v1/TaskEvent.js';
import type { TaskRequest } from '../../src/workers/generated/paf/worker/v1/TaskRequest.js';
import { loadWorkerProto, workerServiceName } from '../../src/workers/proto.ts';
import { fromStruct, toStruct } from '../../src/workers/struct.ts';
import type { Canaries } from './canaries.ts';

type Take = (text: string) => void;

/** What came in, headers and all. */
const whole = (request: IncomingMessage, body: Buffer) =>
  `${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n${body.toString()}\n`;

/** A server of which the test learns everything that it is sent. */
async function listen(
  take: Take,
  answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void,
): Promise<string> {
  const listener: RequestListener = async (request, response) => {
    const parts = await request.toArray();
    const sent = Buffer.concat(parts);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    take(whole(request, body));
    answer(request, response, body);
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A receiver of spans as OTLP over HTTP. */
export async function startCollector(onHeaders: Take, onSpans: Take): Promise<string> {
  return listen(
    (text) => onHeaders(text.slice(0, text.indexOf('{'))),
    (_request, response, body) => {
      onSpans(body.toString());
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    },
  );
}

/** A receiver that takes no spans and tells what it was sent. */
export async function startAngryCollector(canaries: Canaries): Promise<string> {
  return listen(
    () => {},
    (request, response, body) => {
      const words = `${canaries.at('answer of a collector')} ${request.headers['x-collector-key']}`;
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: words, body: body.toString() }));
    },
  );
}

/** A host of files. One of them is refused with more words than anybody should pass on. */
export async function startFileHost(canaries: Canaries, take: Take): Promise<string> {
  return listen(take, (request, response) => {
    if (request.url?.includes('missing')) {
      const words = `${canaries.at('answer of a file host')} ${request.url}`;
      response.writeHead(403, words.slice(0, 60), { 'x-told': words }).end(words);
    } else if (request.url?.includes('moved'))
      response.writeHead(302, { location: `${request.url}&again` }).end();
    else if (request.url?.includes('cut')) {
      response.writeHead(200, { 'content-length': '100000' });
      response.write(canaries.at('answer of a file host'), () => response.destroy());
    } else response.end(`The word is ${canaries.at('content of a signed address')}.`);
  });
}

/** An MCP server over HTTP whose one tool always fails, with words about its caller. `isLocked`: it lets nobody in. */
export async function startMcpServer(canaries: Canaries, take: Take, isLocked: boolean): Promise<string> {
  const url = await listen(take, (request, response, body) => {
    const quote = `${canaries.at('HTTP error of an MCP server')} ${request.headers.authorization} ${body}`;
    const json = { 'content-type': 'application/json' };
    if (isLocked) return response.writeHead(401, json).end(JSON.stringify({ error: quote }));
    if (request.method !== 'POST') return response.writeHead(405).end();
    const { id, method, params } = JSON.parse(body.toString());
    if (id === undefined) return response.writeHead(202).end();
    if (method === 'tools/call') return response.writeHead(500, json).end(JSON.stringify({ error: quote }));
    const results: Record<string, object> = {
      initialize: {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'quoting', version: '1' },
      },
      'tools/list': { tools: [{ name: 'ask', description: 'Asks.', inputSchema: { type: 'object' } }] },
    };
    response.writeHead(200, json).end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? {} }));
  });
  return `${url}/mcp`;
}

type Call = ServerWritableStream<TaskRequest, TaskEventInput>;

/** A worker whose tasks quote what they are given, each in the way of its task_type. */
export async function startQuotingWorker(canaries: Canaries, take: Take): Promise<string> {
  const failure = canaries.at('failure of a worker');
  const tasks: Record<string, (call: Call) => void> = {
    quote(call) {
      call.write({ progress: { fraction: 0.5, message: canaries.at('progress of a worker') } });
      call.write({
        result: {
          success: true,
          result: { structured: toStruct({ told: canaries.at('result of a worker') }) },
        },
      });
      call.end();
    },
    fail(call) {
      call.write({ error: { code: 'OUT_OF_MEMORY', message: failure, retryable: true } });
      call.end();
    },
    disagree(call) {
      call.write({ result: { success: false, error: failure } });
      call.end();
    },
    refuse(call) {
      const words = canaries.at('words of a worker that refuses');
      call.emit('error', Object.assign(new Error(words), { code: status.INVALID_ARGUMENT }));
    },
  };
  const server = new Server();
  server.addService(loadWorkerProto().WorkerAgent.service, {
    ListCapabilities(_call: unknown, answer: (error: null, value: object) => void) {
      const capabilities = Object.keys(tasks).map((taskType) => ({
        taskType,
        description: `The task ${taskType}`,
        payloadSchema: '{"type":"object"}',
        version: '1',
      }));
      answer(null, { capabilities, workerVersion: '1' });
    },
    ExecuteTask(call: Call) {
      const { taskId, taskType, payload } = call.request;
      const input = payload?.structured ? fromStruct(payload.structured) : {};
      take(
        `${JSON.stringify(call.metadata.getMap())} ${JSON.stringify(call.request)} ${JSON.stringify(input)}\n`,
      );
      if (taskType !== 'refuse') call.write({ taskId, accepted: { attached: false } });
      tasks[taskType]?.(call);
    },
  });
  new HealthImplementation({ '': 'SERVING', [workerServiceName]: 'SERVING' }).addToServer(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}
