import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { useFolder } from '../helpers/folders.ts';
import { jsonPost, streamChat } from '../helpers/service.ts';

const body = {
  message: 'MESSAGE-TEXT: what does the file say?',
  files: [{ file_name: 'FILE-NAME.txt', content: 'FILE-CONTENT' }],
  history: [{ role: 'user', content: 'HISTORY-TEXT' }],
  metadata: { note: 'METADATA-TEXT' },
  show_thinking: true,
};
const headers = { authorization: 'Bearer CALLER-TOKEN', 'idempotency-key': 'IDEMPOTENCY-KEY-1' };
const secrets = new RegExp(
  [
    'MESSAGE-TEXT',
    'FILE-NAME',
    'FILE-CONTENT',
    'HISTORY-TEXT',
    'METADATA-TEXT',
    'ANSWER-TEXT',
    'REASONING-TEXT',
    'PROVIDER-TEXT',
    'ARGUMENT-TEXT',
    'CALLER-TOKEN',
    'IDEMPOTENCY-KEY',
    'sk-secret',
  ].join('|'),
);

const providerText = { error: { message: 'PROVIDER-TEXT sk-secret MESSAGE-TEXT', type: 'x' } };
const answer: ScriptedReply = { reasoning: 'REASONING-TEXT', text: 'ANSWER-TEXT is the answer.' };
const toolCalls = [
  { id: 'call_1', name: 'calculator', arguments: '{"expression":"ARGUMENT-TEXT"}' },
  { id: 'call_2', name: 'ARGUMENT-TEXT', arguments: 'ARGUMENT-TEXT' },
];

/** As often as a provider is asked for one answer. */
const thrice = <T>(each: T) => [each, each, each];

test.each<[what: string, outcome: string, replies: ScriptedReply[], calls: string[]]>([
  ['an answer', 'completed', [answer], ['llm ok']],
  [
    'an answer with tools',
    'completed',
    [{ toolCalls }, answer],
    ['llm ok', 'calculator false', 'unknown false', 'llm ok'],
  ],
  [
    'a refusal',
    'failed',
    [{ fault: { type: 'status', status: 400, body: providerText } }],
    ['llm rejected provider_rejected'],
  ],
  [
    'a refused key',
    'failed',
    [{ fault: { type: 'status', status: 401, body: providerText } }],
    ['llm unavailable provider_unavailable'],
  ],
  [
    'an error in the stream',
    'failed',
    thrice({ ...answer, fault: { type: 'error', after: 2, body: providerText } }),
    thrice('llm error provider_error'),
  ],
  ['a broken stream', 'failed', thrice({ ...answer, fault: 'cut:2' }), thrice('llm error provider_error')],
  ['garbage', 'failed', thrice({ ...answer, fault: 'malformed:2' }), thrice('llm error provider_error')],
])(
  '%s leaves a line about each call and one about the run, and no text anywhere',
  async (_what, outcome, replies, calls) => {
    const folder = useFolder();
    const secret = { OPENAI_API_KEY: 'sk-secret-0123456789', LOG_LEVEL: 'trace' };
    for (const name of ['events.jsonl', 'events.db']) {
      const path = join(folder, name);
      const { service } = await startChat(replies, { ...secret, EVENT_LOG: path });
      const stream = await streamChat(service, body, { ...headers, 'x-request-id': 'req-log' });
      await stream.ended;
      const others = ['request', 'phase'];
      const lines = service.logs.filter(
        ({ run_id, msg }) => run_id === stream.runId && !others.includes(String(msg)),
      );
      expect(lines.map((line) => line.request_id)).toEqual(lines.map(() => 'req-log'));
      expect(lines.slice(0, -1).map(callOf)).toEqual(calls);
      expect(lines.at(-1)).toMatchObject({ msg: `run ${outcome}`, outcome });
      expect(JSON.stringify(service.logs)).not.toMatch(secrets);
      expect(await (await fetch(`${service.url}/metrics`)).text()).not.toMatch(secrets);
      await service.close();
      const kept = readFileSync(path, 'latin1');
      expect(kept).toContain(stream.runId);
      expect(kept).not.toMatch(secrets);
    }
  },
);

/** A line about a call, in few words. */
function callOf({
  msg,
  tool,
  ok,
  outcome,
  provider,
  model,
  error_type,
  duration_ms,
}: Record<string, unknown>) {
  expect(duration_ms).toBeGreaterThanOrEqual(0);
  if (msg === 'tool call') return `${tool} ${ok}`;
  expect([msg, provider, model]).toEqual(['llm call', 'openai', 'fake-model']);
  return ['llm', outcome, error_type].filter((word) => word !== undefined).join(' ');
}

test('a surprise inside the service is logged with its place, without its text', async () => {
  const { service } = await startChat([], { LOG_LEVEL: 'trace' });
  vi.spyOn(service.services.pipeline.router, 'stream').mockImplementation(() => {
    throw new TypeError('cannot read MESSAGE-TEXT with sk-secret');
  });
  const stream = await streamChat(service, body, headers);
  expect((await stream.ended).at(-2)?.data).toMatchObject({
    error_type: 'internal_error',
    error: 'Something went wrong inside the service.',
    retryable: false,
  });
  const line = service.logs.findLast(({ run_id, msg }) => run_id === stream.runId && msg === 'run failed');
  expect(line?.error).toMatchObject({ name: 'TypeError', stack: expect.any(Array) });
  expect(JSON.stringify(service.logs)).not.toMatch(secrets);
});

test('a refused request leaves none of its text in the logs', async () => {
  const { service } = await startChat([], { OPENAI_API_KEY: 'sk-secret-0123456789', LOG_LEVEL: 'trace' });
  for (const bad of [
    { ...body, 'MESSAGE-TEXT': 1 },
    { ...body, model: 'MESSAGE-TEXT' },
    { ...body, message: ['MESSAGE-TEXT'] },
    { ...body, files: [{ file_name: 'FILE-NAME.txt', content_base64: 'FILE-CONTENT!' }] },
  ]) {
    expect((await fetch(`${service.url}/api/chat`, jsonPost(bad, headers))).status).toBe(400);
  }
  const broken = { ...jsonPost({}, headers), body: '{"message": "MESSAGE-TEXT' };
  expect((await fetch(`${service.url}/api/chat`, broken)).status).toBe(400);
  expect(JSON.stringify(service.logs)).not.toMatch(secrets);
});
