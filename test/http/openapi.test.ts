import { createConfig, lintFromString } from '@redocly/openapi-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { createApp } from '../../src/app.ts';
import { anonymous } from '../../src/auth/authenticator.ts';
import { loadConfig } from '../../src/config.ts';
import type { Run } from '../../src/runs/run.ts';
import { createServices } from '../../src/services.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { startChat } from '../helpers/chat.ts';
import { type Answer, type Contract, eventsOf, loadContract, readAnswer, send } from '../helpers/contract.ts';
import { refusedUrl } from '../helpers/fake-llm.ts';
import { jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';
import { jwtSecret } from '../helpers/tokens.ts';
import { chatWithoutStorage, conflictOf, sessionDrives } from './session-drives.ts';
import { socketDrives } from './websocket-drives.ts';

let contract: Contract;
let source: string;

beforeAll(async () => {
  const services = createServices(loadConfig({ LOG_LEVEL: 'silent' }).config);
  const app = await createApp(services);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  source = (await app.inject('/openapi.json')).body;
  contract = await loadContract({ url, services, logs: [], close: async () => {} });
  await app.close();
  services.close();
});

describe('the description', () => {
  test('passes the recommended rules of redocly with no error', async () => {
    const config = await createConfig({ extends: ['recommended'] });
    const findings = await lintFromString({ source, absoluteRef: 'openapi.json', config });
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    // what is left are GETs that cannot fail by the caller's fault, and a socket, which opens with 101
    expect([...new Set(findings.map(({ ruleId }) => ruleId))].toSorted()).toEqual([
      'operation-2xx-response',
      'operation-4xx-response',
    ]);
  });

  test('is OpenAPI 3.1 with servers that are right wherever it is served', () => {
    expect(contract.document.openapi).toMatch(/^3\.1\./);
    expect(contract.document.servers.map(({ url }) => url)).toEqual(['/']);
  });

  test('has every route of the contract and no other', () => {
    expect(
      contract.operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted(),
    ).toEqual([
      'DELETE /api/sessions/{id}',
      'GET /api/chat/models',
      'GET /api/chat/providers',
      'GET /api/chat/status',
      'GET /api/health',
      'GET /api/health/live',
      'GET /api/health/ready',
      'GET /api/mcp/servers',
      'GET /api/runs/{id}',
      'GET /api/runs/{id}/events',
      'GET /api/sessions',
      'GET /api/sessions/{id}',
      'GET /api/workers',
      'GET /api/ws',
      'GET /metrics',
      'GET /openapi.json',
      'PATCH /api/sessions/{id}',
      'POST /api/agent',
      'POST /api/chat',
      'POST /api/chat/stream',
      'POST /api/runs/{id}/cancel',
      'POST /api/sessions',
      'POST /api/sessions/{id}/fork',
    ]);
  });

  test('gives every operation an id of its own, a summary and an empty security', () => {
    const ids = contract.operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of contract.operations) {
      expect(operation.summary, operation.operationId).toMatch(/^[A-Z].*\w$/);
      expect(operation.security, operation.operationId).toEqual([]);
    }
  });

  test('says that a stream consists of the event union, and a problem of the problem body', () => {
    for (const { operation } of contract.operations) {
      for (const { content = {} } of Object.values(operation.responses)) {
        const schemas = Object.fromEntries(
          Object.entries(content).map(([type, media]) => [type, media.schema]),
        );
        const stream = schemas['text/event-stream'];
        if (stream) expect(stream).toEqual({ $ref: '#/components/schemas/StreamEvent' });
        const problem = schemas['application/problem+json'];
        if (problem) expect(problem).toEqual({ $ref: '#/components/schemas/Problem' });
      }
    }
  });

  test('has a union that takes each event in its own form only', () => {
    const timestamp = 1.5;
    const content = { id: 1, event: 'content', data: { content: 'Hi', revision: 0, timestamp } };
    expect(contract.problemsOf('StreamEvent', content)).toBeUndefined();
    expect(contract.problemsOf('StreamEvent', { id: 2, event: 'done', data: '[DONE]' })).toBeUndefined();
    const wrong = [
      { ...content, event: 'reasoning' },
      { ...content, event: 'else' },
      { ...content, id: 0 },
      { ...content, data: { content: 'Hi', timestamp } },
      { ...content, data: { ...content.data, more: 1 } },
      { id: 2, event: 'done', data: 'DONE' },
    ];
    for (const event of wrong) expect(contract.problemsOf('StreamEvent', event)).toBeDefined();
  });

  test('has examples that its schemas take and the service answers', async () => {
    const service = await startService();
    for (const operationId of ['chat', 'streamChat', 'streamModel']) {
      const found = contract.operations.find(({ operation }) => operation.operationId === operationId);
      const examples = found?.operation.requestBody?.content['application/json']?.examples ?? {};
      expect(Object.keys(examples).length).toBeGreaterThanOrEqual(2);
      for (const { value } of Object.values(examples)) {
        expect(contract.bodyProblemsOf(operationId, value)).toBeUndefined();
        const answer = await send(service, found?.path ?? '', jsonPost(value));
        expect(answer.status).toBe(200);
        contract.check(operationId, answer);
      }
    }
    const { examples = [] } = contract.document.components.schemas.Problem as { examples?: unknown[] };
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(contract.problemsOf('Problem', example)).toBeUndefined();
  });

  test('describes a body as strictly as the service reads it', () => {
    const problems = (body: object) => contract.bodyProblemsOf('chat', body);
    expect(problems({ message: 'Hi' })).toBeUndefined();
    for (const body of [{}, { message: ' ' }, { message: 1 }, { message: 'Hi', extra: 1 }]) {
      expect(problems(body)).toBeDefined();
    }
  });
});

/** Answers that one operation gives with one status, in as many ways as there are. */
type Drive = () => Promise<Answer[]>;

const ask = { message: 'Say hello.' };
const askModel = {
  model: { provider: 'demo', id: 'demo' },
  context: { messages: [{ role: 'user', content: 'Say hello.' }] },
};
const hello = { text: 'Hello there, old friend.' };
const binary = { file_name: 'a.bin', content_base64: 'AAAA' };
const paths = { chat: '/api/chat', streamChat: '/api/chat/stream' } as const;
type ChatOperation = keyof typeof paths;

const post = (service: TestService, operation: ChatOperation, body: unknown, headers = {}) =>
  send(service, paths[operation], jsonPost(body, headers));

/** Statuses that both chat routes answer before a run starts. */
function refusals(operation: ChatOperation): Record<string, Drive> {
  return {
    [`${operation} 400`]: async () => {
      const service = await startService();
      return [
        await post(service, operation, {}),
        await post(service, operation, { ...ask, model: 'nope' }),
        await send(service, paths[operation], { ...jsonPost({}), body: '{' }),
      ];
    },
    [`${operation} 404`]: async () => [
      await post(await startService(), operation, { ...ask, session_id: 'nope' }),
    ],
    [`${operation} 409`]: async () => [await conflictOf(paths[operation])],
    [`${operation} 413`]: async () => [
      await post(await startService({ MAX_BODY_BYTES: '10' }), operation, ask),
    ],
    [`${operation} 415`]: async () => {
      const service = await startService();
      return [
        await post(service, operation, ask, { 'content-type': 'text/plain' }),
        await post(service, operation, ask, { 'content-encoding': 'gzip' }),
      ];
    },
    [`${operation} 422`]: async () => {
      const service = await startService();
      const key = { 'idempotency-key': 'one' };
      await post(service, operation, ask, key);
      return [
        await post(service, operation, { ...ask, files: [binary] }),
        await post(service, operation, { message: 'Something else.' }, key),
      ];
    },
    [`${operation} 500`]: async () => {
      const service = await startService();
      service.services.tools.list = fail;
      return [await post(service, operation, ask)];
    },
  };
}

async function refusedByLoad(operation: ChatOperation): Promise<Answer[]> {
  const first = hold(1);
  const { service } = await startChat([{ ...hello, hold: first }], { MAX_CONCURRENT_REQUESTS: '1' });
  const running = await streamChat(service, ask);
  await first.reached;
  const overloaded = await post(service, operation, ask);
  const drained = service.services.drain();
  const shuttingDown = await post(service, operation, ask);
  first.release();
  await drained;
  await running.ended;
  return [overloaded, shuttingDown, await chatWithoutStorage(paths[operation])];
}

/** A call to a model while the service is full, and while it shuts down. */
async function refusedModel(): Promise<Answer[]> {
  const first = hold(1);
  const { service } = await startChat([{ ...hello, hold: first }], { MAX_CONCURRENT_REQUESTS: '1' });
  const running = await streamChat(service, ask);
  await first.reached;
  const body = jsonPost({ ...askModel, model: { provider: 'openai', id: 'fake-model' } });
  const overloaded = await send(service, '/api/agent', body);
  const drained = service.services.drain();
  const shuttingDown = await send(service, '/api/agent', body);
  first.release();
  await drained;
  await running.ended;
  return [overloaded, shuttingDown];
}

/** As often as a provider is asked for one answer. */
const thrice = (reply: ScriptedReply) => [reply, reply, reply];

/** The answer of the chat route when the model server misbehaves. */
async function failedBy(fault: string, env: Record<string, string> = {}): Promise<Answer> {
  const { service } = await startChat(
    fault.startsWith('status') ? [{ ...hello, fault }] : thrice({ ...hello, fault }),
    env,
  );
  return post(service, 'chat', ask);
}

async function cancelledChat(): Promise<Answer> {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const start = vi.spyOn(service.services.runs, 'start');
  const answer = post(service, 'chat', ask);
  await middle.reached;
  const run = start.mock.results[0]?.value as Run;
  await send(service, `/api/runs/${run.id}/cancel`, cancel);
  return answer;
}

/** The path of a finished run, and the service that holds it. */
async function finishedRun() {
  const service = await startService();
  const { runId, ended } = await streamChat(service, ask);
  const events = await ended;
  return { service, path: `/api/runs/${runId}`, newest: events.length };
}

/** The same after RUN_LOG_TTL. */
async function forgottenRun() {
  const run = await finishedRun();
  run.service.services.runs.close();
  return run;
}

const fail = (): never => {
  throw new Error('secret');
};

const cancel = { method: 'POST' };

const drives: Record<string, Drive> = {
  ...refusals('chat'),
  ...refusals('streamChat'),
  ...sessionDrives,
  ...socketDrives,
  'chat 200': async () => {
    const service = await startService();
    return [
      await post(service, 'chat', { ...ask, show_thinking: true }),
      await post(service, 'chat', { ...ask, response_format: { type: 'json_object' }, max_tokens: 1 }),
      await pricedAnswer(),
    ];
  },
  'chat 499': async () => [await cancelledChat()],
  'chat 502': async () => [await failedBy('end:1'), await failedBy('status:400')],
  'chat 503': async () => [...(await refusedByLoad('chat')), await failedBy('status:401')],
  'chat 504': async () => [await failedBy('stall:1', { REQUEST_TIMEOUT: '0.05' })],
  'streamChat 200': async () => [await everyEvent(), await failedStream()],
  'streamChat 410': async () => {
    const service = await startService({}, { runLogEvents: 3 });
    const key = { 'idempotency-key': 'one' };
    const body = { ...ask, on_disconnect: 'continue' };
    const first = await fetch(service.url + paths.streamChat, jsonPost(body, key));
    await first.body?.cancel();
    await service.services.runs.find(first.headers.get('x-run-id') ?? '', anonymous).ended;
    return [await post(service, 'streamChat', body, key)];
  },
  'streamChat 503': async () => refusedByLoad('streamChat'),
  'streamModel 200': async () => {
    const service = await startService();
    return [await send(service, '/api/agent', jsonPost(askModel))];
  },
  'streamModel 400': async () => {
    const service = await startService();
    return [
      await send(service, '/api/agent', jsonPost({})),
      await send(service, '/api/agent', jsonPost({ ...askModel, model: { provider: 'demo', id: 'nope' } })),
    ];
  },
  'streamModel 413': async () => [
    await send(await startService({ MAX_BODY_BYTES: '10' }), '/api/agent', jsonPost(askModel)),
  ],
  'streamModel 415': async () => [
    await send(await startService(), '/api/agent', jsonPost(askModel, { 'content-type': 'text/plain' })),
  ],
  'streamModel 500': async () => {
    const service = await startService();
    service.services.catalog.find = fail;
    return [await send(service, '/api/agent', jsonPost(askModel))];
  },
  'streamModel 503': async () => refusedModel(),
  'resumeRun 200': async () => {
    const { service, path, newest } = await finishedRun();
    return [
      await send(service, `${path}/events`),
      await send(service, `${path}/events?after=${newest - 1}`),
      await send(service, `${path}/events`, { headers: { 'last-event-id': '1' } }),
    ];
  },
  'resumeRun 204': async () => {
    const { service, path, newest } = await finishedRun();
    return [await send(service, `${path}/events?after=${newest}`)];
  },
  'resumeRun 400': async () => {
    const { service, path, newest } = await finishedRun();
    return [
      await send(service, `${path}/events?after=x`),
      await send(service, `${path}/events?after=${newest + 1}`),
      await send(service, `${path}/events?after=1&after=2`),
    ];
  },
  'resumeRun 404': async () => [await send(await startService(), '/api/runs/nope/events')],
  'resumeRun 410': async () => {
    const { service, path } = await forgottenRun();
    const short = await startService({}, { runLogEvents: 3 });
    const runId = (await post(short, 'chat', ask)).headers.get('x-run-id');
    return [await send(service, `${path}/events`), await send(short, `/api/runs/${runId}/events?after=1`)];
  },
  'resumeRun 500': async () => [await brokenRuns('/api/runs/any/events')],
  'getRun 200': async () => {
    const { service, path } = await finishedRun();
    const { runId, ended } = await streamChat(service, { ...ask, metadata: { ticket: 7 } });
    await ended;
    return [await send(service, path), await send(service, `/api/runs/${runId}`), await liveRecord()];
  },
  'getRun 404': async () => [await send(await startService(), '/api/runs/nope')],
  'getRun 410': async () => {
    const { service, path } = await forgottenRun();
    return [await send(service, path)];
  },
  'getRun 500': async () => [await brokenRuns('/api/runs/any')],
  'cancelRun 200': async () => {
    const { service, path } = await finishedRun();
    return [
      await send(service, `${path}/cancel`, cancel),
      // clients that always name a content type, and ones that send something
      await send(service, `${path}/cancel`, { ...cancel, headers: { 'content-type': 'application/json' } }),
      await send(service, `${path}/cancel`, { ...cancel, body: 'please' }),
    ];
  },
  'cancelRun 404': async () => [await send(await startService(), '/api/runs/nope/cancel', cancel)],
  'cancelRun 410': async () => {
    const { service, path } = await forgottenRun();
    return [await send(service, `${path}/cancel`, cancel)];
  },
  'cancelRun 500': async () => [await brokenRuns('/api/runs/any/cancel', cancel)],
  'listModels 200': async () => [
    await send(await startService(), '/api/chat/models'),
    await send(
      await startService({ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: await refusedUrl() }),
      '/api/chat/models',
    ),
    await send(await startService({ DEMO_MODEL: 'false' }), '/api/chat/models'),
  ],
  'listModels 500': async () => [await broken('/api/chat/models', ({ catalog }) => (catalog.models = fail))],
  'listProviders 200': async () => [
    await send(await startService(), '/api/chat/providers'),
    await send(await startService({ VLLM_ENDPOINT: await refusedUrl() }), '/api/chat/providers'),
  ],
  'listProviders 500': async () => [
    await broken('/api/chat/providers', ({ catalog }) => (catalog.models = fail)),
  ],
  'listMcpServers 200': async () => [
    await send(await startService(), '/api/mcp/servers'),
    await send(await startService({ MCP_SERVER_URL: await refusedUrl() }), '/api/mcp/servers'),
  ],
  'listMcpServers 500': async () => [await broken('/api/mcp/servers', ({ mcp }) => (mcp.statusFor = fail))],
  'listWorkers 200': async () => [
    await send(await startService(), '/api/workers'),
    await send(
      await startService({ WORKER_AGENT_ENDPOINTS: 'localhost:1', WORKER_PLAINTEXT: 'true' }),
      '/api/workers',
    ),
  ],
  'listWorkers 500': async () => [await broken('/api/workers', ({ workers }) => (workers.status = fail))],
  'getStatus 200': async () => [
    await send(await startService(), '/api/chat/status'),
    await send(await startService({ MAX_CONTEXT_TOKENS: '1000' }), '/api/chat/status'),
    await send(await startService({ DEMO_MODEL: 'false' }), '/api/chat/status'),
    await send(
      await startService({ TENANT_DAILY_TOKENS: '1000', TENANT_DAILY_COST_USD: '0.5' }),
      '/api/chat/status',
    ),
  ],
  'getStatus 500': async () => [await broken('/api/chat/status', ({ tools }) => (tools.list = fail))],
  'getHealth 200': async () => [await send(await startService(), '/api/health')],
  'getHealth 500': async () => [await broken('/api/health', (services) => (services.providerStates = fail))],
  'getHealth 503': async () => [
    await send(await startService({ DEMO_MODEL: 'false' }), '/api/health'),
    await send(await startService({ OPENAI_BASE_URL: await refusedUrl() }), '/api/health'),
  ],
  'getLiveness 200': async () => [await send(await startService(), '/api/health/live')],
  'getReadiness 200': async () => [await send(await startService(), '/api/health/ready')],
  'getReadiness 500': async () => [
    await broken('/api/health/ready', (services) => (services.readiness = fail)),
  ],
  'getReadiness 503': async () => {
    const service = await startService();
    await service.services.drain();
    return [
      await send(service, '/api/health/ready'),
      await send(await startService({ DEMO_MODEL: 'false' }), '/api/health/ready'),
    ];
  },
  'getMetrics 200': async () => [await send(await startService(), '/metrics')],
  'getMetrics 500': async () => [
    await broken('/metrics', ({ metrics }) => (metrics.registry.metrics = fail)),
  ],
  'getOpenApi 200': async () => [await send(await startService(), '/openapi.json')],
};

async function broken(path: string, breakIt: (services: TestService['services']) => void): Promise<Answer> {
  const service = await startService();
  breakIt(service.services);
  return send(service, path);
}

async function brokenRuns(path: string, init?: RequestInit): Promise<Answer> {
  const service = await startService();
  service.services.runs.find = fail;
  return send(service, path, init);
}

/** An answer with a price, of a model that the catalogue knows. */
async function pricedAnswer(): Promise<Answer> {
  const { service } = await startChat([hello], { LLM_MODEL: 'gpt-6-luna' });
  const answer = await post(service, 'chat', ask);
  expect(JSON.parse(answer.text).cost_usd).toBeGreaterThan(0);
  return answer;
}

async function liveRecord(): Promise<Answer> {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(service, ask);
  await middle.reached;
  const answer = await send(service, `/api/runs/${stream.runId}`);
  middle.release();
  await stream.ended;
  return answer;
}

const slowTool: Tool = {
  name: 'slow',
  description: 'Reports on its way.',
  parameters: { type: 'object' },
  isParallel: true,
  async execute(_args, { onProgress }) {
    onProgress({ message: 'half way', progress: 1, total: 2 });
    onProgress({ message: 'nearly there' });
    return { content: [{ type: 'text', text: 'done' }], isError: false };
  },
};

/** A stream with every event of the union but `error`. */
async function everyEvent(): Promise<Answer> {
  const { service } = await startChat([
    { reasoning: 'Let me see.', toolCalls: [{ id: 'call_1', name: 'slow', arguments: '{}' }] },
    { text: 'That is no JSON.' },
    { text: '{"greeting":"hello"}' },
  ]);
  service.services.tools.list = () => [slowTool];
  const answer = await post(service, 'streamChat', {
    ...ask,
    show_thinking: true,
    allow_revision: true,
    response_format: { type: 'json_object' },
  });
  const names = new Set(eventsOf(answer.text).map(({ event }) => event));
  expect([...names].toSorted()).toEqual(eventNames().filter((name) => name !== 'error'));
  return answer;
}

async function failedStream(): Promise<Answer> {
  const { service } = await startChat(thrice({ ...hello, fault: 'cut:1' }));
  const answer = await post(service, 'streamChat', ask);
  expect(eventsOf(answer.text).map(({ event }) => event)).toEqual(['content', 'error', 'done']);
  return answer;
}

/** The names of the documented union. */
function eventNames(): string[] {
  const { anyOf } = contract.document.components.schemas.StreamEvent as {
    anyOf: { properties: { event: { enum: string[] } } }[];
  };
  return anyOf.flatMap(({ properties }) => properties.event.enum).toSorted();
}

describe('the service', () => {
  test('can be driven into every documented status', () => {
    const documented = contract.operations.flatMap(({ operation }) =>
      Object.keys(operation.responses).map((status) => `${operation.operationId} ${status}`),
    );
    expect(Object.keys(drives).toSorted()).toEqual(documented.toSorted());
  });

  test.each(Object.entries(drives))('answers as documented: %s', async (name, drive) => {
    const [operationId = '', status = ''] = name.split(' ');
    const answers = await drive();
    for (const answer of answers) {
      expect(answer.status, answer.text).toBe(Number(status));
      contract.check(operationId, answer);
      expect(answer.text).not.toMatch(/secret|node_modules|\.ts:\d/);
    }
    expect(kindsOf(answers)).toEqual(documentedKinds(operationId, status));
  });

  test('describes itself the same in every service', async () => {
    const service = await startService({ DEMO_MODEL: 'false', ENABLE_METRICS: 'true' });
    expect((await send(service, '/openapi.json')).text).toBe(source);
  });

  test('does not describe what is switched off', async () => {
    const service = await startService({ ENABLE_METRICS: 'false' });
    const { document } = await loadContract(service);
    expect(Object.keys(document.paths)).not.toContain('/metrics');
  });

  test('answers HEAD like GET, without the body', async () => {
    const service = await startService();
    for (const path of ['/api/health', '/api/chat/models', '/metrics', '/openapi.json']) {
      const head = await readAnswer(await fetch(`${service.url}${path}`, { method: 'HEAD' }));
      const get = await send(service, path);
      expect({ status: head.status, type: head.type, text: head.text }).toEqual({
        status: 200,
        type: get.type,
        text: '',
      });
    }
  });
});

/** A signature is in all of these headers. */
const signature = { hmacKeyId: [], hmacTimestamp: [], hmacNonce: [], hmacSignature: [] };

describe('with authentication', () => {
  const security = {
    AUTH_MODE: 'any',
    JWT_SECRET: jwtSecret,
    HMAC_KEYS: JSON.stringify({ robot: { secret: jwtSecret, tenant: 'acme' } }),
    METRICS_TOKEN: jwtSecret,
  };
  const publicRoutes = ['getHealth', 'getLiveness', 'getReadiness', 'getOpenApi'];

  test('the description still passes the rules', async () => {
    const { text } = await send(await startService(security), '/openapi.json');
    const config = await createConfig({ extends: ['recommended'] });
    const findings = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  test.each([
    ['none', [], undefined],
    ['jwt', [{ bearer: [] }], ['bearer']],
    ['hmac', [signature], Object.keys(signature)],
    ['any', [{ bearer: [] }, signature], ['bearer', ...Object.keys(signature)]],
  ])('in mode %s it names the ways in', async (AUTH_MODE, expected, schemes) => {
    const { METRICS_TOKEN: _, JWT_SECRET, HMAC_KEYS } = security;
    const env = {
      AUTH_MODE,
      ...(AUTH_MODE === 'hmac' ? {} : { JWT_SECRET }),
      ...(AUTH_MODE === 'jwt' ? {} : { HMAC_KEYS }),
    };
    const { document, operations } = await loadContract(await startService(env));
    const { securitySchemes } = document.components;
    expect(securitySchemes && Object.keys(securitySchemes)).toEqual(schemes);
    for (const { operation } of operations) {
      const isPublic = [...publicRoutes, 'getMetrics'].includes(operation.operationId);
      expect(operation.security, operation.operationId).toEqual(isPublic ? [] : expected);
      expect('401' in operation.responses, operation.operationId).toBe(AUTH_MODE !== 'none' && !isPublic);
    }
  });

  test('every route that asks who is there answers 401 as documented, and the others do not', async () => {
    const service = await startService(security);
    const { operations, check } = await loadContract(service);
    for (const { path, method, operation } of operations) {
      const answer = await send(service, path.replace('{id}', 'x'), { method: method.toUpperCase() });
      if (publicRoutes.includes(operation.operationId)) expect(answer.status).toBe(200);
      else expect(answer.status, operation.operationId).toBe(401);
      check(operation.operationId, answer);
    }
    const found = operations.find(({ operation }) => operation.operationId === 'getMetrics');
    expect(found?.operation.security).toEqual([{ metricsToken: [] }]);
    expect((await send(service, '/docs/static/index.html')).status).toBe(200);
  });

  test('that nobody can say now who asks is documented', async () => {
    const { JWT_SECRET: _, ...others } = security;
    const service = await startService({ ...others, JWT_JWKS_URL: `${await refusedUrl()}/keys` });
    const { check } = await loadContract(service);
    const header = Buffer.from('{"alg":"RS256","kid":"some"}').toString('base64url');
    const answer = await send(service, '/api/sessions', {
      headers: { authorization: `Bearer ${header}.e30.AAAA` },
    });
    expect([answer.status, JSON.parse(answer.text).type]).toEqual([503, 'urn:paf:error:auth_unavailable']);
    check('listSessions', answer);
  });
});

describe('with limits', () => {
  const publicRoutes = ['getHealth', 'getLiveness', 'getReadiness', 'getOpenApi', 'getMetrics'];
  const limits = { RATE_LIMIT_RPM: '1', TENANT_DAILY_TOKENS: '1', REDIS_URL: 'redis://127.0.0.1:1' };

  test('the description still passes the rules', async () => {
    const { text } = await send(await startService(limits), '/openapi.json');
    const config = await createConfig({ extends: ['recommended'] });
    const findings = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  test('every route that knows its callers answers 429 and 503 as documented', async () => {
    const { REDIS_URL: _, ...counted } = limits;
    for (const [env, status] of [
      [counted, 429],
      [limits, 503],
    ] as const) {
      const service = await startService(env);
      const { operations, check } = await loadContract(service);
      await send(service, '/api/sessions');
      for (const { path, method, operation } of operations) {
        const answer = await send(service, path.replace('{id}', 'x'), { method: method.toUpperCase() });
        if (publicRoutes.includes(operation.operationId)) continue;
        expect(answer.status, operation.operationId).toBe(status);
        check(operation.operationId, answer);
      }
    }
  });

  test.each([
    ['chat', '/api/chat', ask],
    ['streamChat', '/api/chat/stream', ask],
    ['streamModel', '/api/agent', askModel],
  ])('a used up quota is documented: %s', async (operationId, path, body) => {
    const service = await startService({ TENANT_DAILY_TOKENS: '1' });
    const { check } = await loadContract(service);
    const answer = await send(service, path, jsonPost(body));
    expect([answer.status, kindsOf([answer])]).toEqual([429, ['quota_exceeded']]);
    check(operationId, answer);
  });
});

/** The kinds of problem that were answered. */
function kindsOf(answers: Answer[]): string[] {
  const problems = answers.filter(({ type }) => type === 'application/problem+json');
  const kinds = problems.map(({ text }) => String(JSON.parse(text).type).replace('urn:paf:error:', ''));
  return [...new Set(kinds)].toSorted();
}

/** The kinds of problem that the description of a status names. */
function documentedKinds(operationId: string, status: string): string[] {
  const found = contract.operations.find(({ operation }) => operation.operationId === operationId);
  const response = found?.operation.responses[status];
  if (!response?.content?.['application/problem+json']) return [];
  return (response.description.match(/\w+/g) ?? []).toSorted();
}
