import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { anonymous } from '../../src/auth/authenticator.ts';
import { cancelRun, startChat } from '../helpers/chat.ts';
import { useFolder } from '../helpers/folders.ts';
import { everythingFile, patient } from '../helpers/mcp.ts';
import { jsonPost, streamChat } from '../helpers/service.ts';
import { eventsIn, outlineOf, type StoredEvent } from './events.ts';

const formats = ['events.jsonl', 'events.db'];
const usage = {
  prompt_tokens: 100,
  completion_tokens: 20,
  prompt_tokens_details: { cached_tokens: 40 },
  completion_tokens_details: { reasoning_tokens: 5 },
};
const booked = {
  input_tokens: 100,
  output_tokens: 20,
  cached_tokens: 40,
  reasoning_tokens: 5,
  estimated: false,
};
const question = { message: 'What is 6*7?' };
const product = { id: 'c1', name: 'calculator', arguments: '{"expression":"6*7"}' };
const number = expect.any(Number);
const estimate = {
  input_tokens: number,
  output_tokens: number,
  cached_tokens: 0,
  reasoning_tokens: number,
  estimated: true,
};

/** The events of one run, once its end is written. */
const eventsOf = (path: string, runId: string) =>
  vi.waitFor(() => {
    const events = eventsIn(path).filter((event) => event.run_id === runId);
    expect(events.at(-1)?.type).toBe('run_end');
    return events;
  }, patient);

const outline = (events: StoredEvent[]) => events.map(outlineOf);

const dataOf = (events: StoredEvent[], type: string) => events.find((event) => event.type === type)?.data;

describe.each(formats)('%s', (name) => {
  test('holds every step of a run with a tool call', async () => {
    const path = join(useFolder(), name);
    const { service } = await startChat(
      [
        { toolCalls: [product], usage },
        { text: 'It is 42.', usage },
      ],
      {
        EVENT_LOG: path,
      },
    );
    const startedMs = Date.now();
    const stream = await streamChat(service, question, { 'x-request-id': 'req-7' });
    await stream.ended;
    const events = await eventsOf(path, stream.runId);
    const caller = { request_id: 'req-7', tenant: 'default', subject: 'anonymous' };
    const call = { ...caller, outcome: 'ok', ...booked, time_to_first_token_ms: number };
    const rows: Omit<StoredEvent, 'id' | 'at' | 'run_id'>[] = [
      { type: 'run_start', name: null, duration_ms: null, ok: null, data: { ...caller, message_chars: 12 } },
      { type: 'phase', name: 'understand', duration_ms: number, ok: true, data: caller },
      { type: 'phase', name: 'plan', duration_ms: number, ok: true, data: caller },
      { type: 'llm_call', name: 'openai/fake-model', duration_ms: number, ok: true, data: call },
      {
        type: 'tool_call',
        name: 'calculator',
        duration_ms: number,
        ok: true,
        data: { ...caller, outcome: 'ok', arguments_chars: 20, result_chars: 2 },
      },
      { type: 'llm_call', name: 'openai/fake-model', duration_ms: number, ok: true, data: call },
      { type: 'phase', name: 'execute', duration_ms: number, ok: true, data: caller },
      { type: 'phase', name: 'evaluate', duration_ms: number, ok: true, data: caller },
      {
        type: 'run_end',
        name: 'completed',
        duration_ms: number,
        ok: true,
        data: {
          ...caller,
          input_tokens: 200,
          output_tokens: 40,
          cached_tokens: 80,
          reasoning_tokens: 10,
          estimated: false,
          llm_calls: 2,
          provider: 'openai',
          model: 'fake-model',
          exit_reason: 'completed',
          finish_reason: 'stop',
          score: number,
          answer_chars: 9,
        },
      },
    ];
    expect(events).toEqual(
      rows.map((row, index) => ({
        id: `${stream.runId}.${index + 1}`,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        run_id: stream.runId,
        ...row,
      })),
    );
    for (const { at } of events) expect(Date.parse(at)).toBeGreaterThanOrEqual(startedMs);
    expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted());
  });

  test('tells of a failed run by its type of error, and not in the words of the provider', async () => {
    const path = join(useFolder(), name);
    const body = { error: { message: 'PROVIDER-TEXT', type: 'x' } };
    const { service } = await startChat([{ fault: { type: 'status', status: 400, body } }], {
      EVENT_LOG: path,
    });
    const stream = await streamChat(service, question);
    await stream.ended;
    const events = await eventsOf(path, stream.runId);
    expect(outline(events)).toEqual([
      'run_start',
      'phase understand true',
      'phase plan true',
      'llm_call openai/fake-model false',
      'error provider_rejected false',
      'run_end failed false',
    ]);
    expect(dataOf(events, 'llm_call')).toMatchObject({
      outcome: 'rejected',
      error_type: 'provider_rejected',
    });
    expect(dataOf(events, 'error')).toMatchObject({ retryable: false });
    expect(dataOf(events, 'run_end')).toMatchObject({ error_type: 'provider_rejected', answer_chars: 0 });
    expect(JSON.stringify(events)).not.toContain('PROVIDER-TEXT');
  });

  test('tells of a cancelled run how far it came', async () => {
    const path = join(useFolder(), name);
    const middle = hold(2);
    const { service } = await startChat([{ text: 'Hello there, my good old friend.', hold: middle }], {
      EVENT_LOG: path,
    });
    const stream = await streamChat(service, question);
    await stream.waitFor(({ id }) => id === 2);
    await cancelRun(service, stream.runId);
    await stream.ended;
    const events = await eventsOf(path, stream.runId);
    expect(outline(events)).toEqual([
      'run_start',
      'phase understand true',
      'phase plan true',
      'llm_call openai/fake-model false',
      'run_end cancelled false',
    ]);
    expect(dataOf(events, 'llm_call')).toMatchObject({ outcome: 'cancelled', ...estimate });
    const shown = stream.events.map(({ data }) => data.content ?? '').join('');
    expect(dataOf(events, 'run_end')).toMatchObject({ error_type: 'cancelled', answer_chars: shown.length });
    expect(shown.length).toBeGreaterThan(0);
  });

  test('goes on where an earlier process ended', async () => {
    const path = join(useFolder(), name);
    for (const count of [1, 2]) {
      const { service } = await startChat([{ text: 'Hello.' }], { EVENT_LOG: path });
      await (await streamChat(service, question)).ended;
      await service.close();
      const ends = eventsIn(path).filter(({ type }) => type === 'run_end');
      expect(ends.length).toBe(count);
      expect(eventsIn(path).length).toBe(count * 7);
    }
  });

  test('holds texts, bounded, with CAPTURE_CONTENT', async () => {
    const path = join(useFolder(), name);
    const long = `Count this. ${'ä'.repeat(40_000)}`;
    const { service } = await startChat([{ toolCalls: [product] }, { text: 'It is 42.' }], {
      EVENT_LOG: path,
      CAPTURE_CONTENT: 'true',
    });
    const stream = await streamChat(service, { message: long });
    await stream.ended;
    const events = await eventsOf(path, stream.runId);
    expect(dataOf(events, 'run_start')).toMatchObject({
      message_chars: 40_012,
      message: `Count this. ${'ä'.repeat(32_762)}`,
    });
    expect(dataOf(events, 'tool_call')).toMatchObject({
      arguments: '{"expression":"6*7"}',
      result: '42',
      result_chars: 2,
    });
    expect(dataOf(events, 'run_end')).toMatchObject({ answer: 'It is 42.', answer_chars: 9 });
  });
});

test('a tool that was under way when its run was cancelled is told of, here and in the log', async () => {
  const path = join(useFolder(), 'events.jsonl');
  const tool = 'every__trigger-long-running-operation';
  const { service } = await startChat(
    [{ toolCalls: [{ id: 'c1', name: tool, arguments: '{"duration":60,"steps":2}' }] }],
    {
      EVENT_LOG: path,
      MCP_SERVERS: JSON.stringify({ every: { command: process.execPath, args: [everythingFile] } }),
    },
  );
  await vi.waitFor(() => expect(service.services.tools.find(tool, anonymous)).toBeDefined(), patient);
  const stream = await streamChat(service, question);
  await stream.waitFor(({ event }) => event === 'tool_call');
  await cancelRun(service, stream.runId);
  await stream.ended;
  const events = await eventsOf(path, stream.runId);
  expect(outline(events).slice(-2)).toEqual([`tool_call ${tool} false`, 'run_end cancelled false']);
  expect(dataOf(events, 'tool_call')).toMatchObject({ outcome: 'stopped', result_chars: 0 });
  const lines = service.logs.filter(({ run_id, msg }) => run_id === stream.runId && msg === 'tool call');
  expect(lines).toEqual([expect.objectContaining({ tool, ok: false, duration_ms: number })]);
});

test('two calls with one id are two events, each with its own arguments', async () => {
  const path = join(useFolder(), 'events.jsonl');
  const twin = { ...product, arguments: '{"expression":"1+1000"}' };
  const { service } = await startChat([{ toolCalls: [product, twin] }, { text: 'Done.' }], {
    EVENT_LOG: path,
  });
  const stream = await streamChat(service, question);
  await stream.ended;
  const calls = (await eventsOf(path, stream.runId)).filter(({ type }) => type === 'tool_call');
  expect(calls.map(({ data }) => [data.arguments_chars, data.result_chars])).toEqual([
    [20, 2],
    [23, 4],
  ]);
});

test('what is said meanwhile is an event too, and a session is named in each', async () => {
  const path = join(useFolder(), 'events.db');
  const pause = hold(1);
  const { service } = await startChat([{ text: 'One.', hold: pause }, { text: 'Two.' }], { EVENT_LOG: path });
  const created = await fetch(`${service.url}/api/sessions`, jsonPost({}));
  const { id } = (await created.json()) as { id: string };
  const stream = await streamChat(service, { ...question, session_id: id });
  await pause.reached;
  service.services.runs.find(stream.runId, anonymous).steer('And now in French.');
  pause.release();
  await stream.ended;
  const events = await eventsOf(path, stream.runId);
  expect(dataOf(events, 'steering')).toMatchObject({ message_chars: 18 });
  expect(events.map(({ data }) => data.session_id)).toEqual(events.map(() => id));
});

test('calls that a caller is to carry out are no failures', async () => {
  const path = join(useFolder(), 'events.jsonl');
  const { service } = await startChat([{ toolCalls: [product] }], { EVENT_LOG: path });
  const response = await fetch(
    `${service.url}/api/agent`,
    jsonPost({
      model: { id: 'fake-model', provider: 'openai' },
      context: {
        messages: [{ role: 'user', content: question.message }],
        tools: [{ name: 'calculator', description: 'Calculates.', parameters: { type: 'object' } }],
      },
    }),
  );
  expect(await response.text()).toContain('event: tool_call');
  const events = await eventsOf(path, response.headers.get('x-run-id') ?? '');
  expect(outline(events)).toEqual([
    'run_start',
    'llm_call openai/fake-model true',
    'tool_call calculator',
    'run_end completed true',
  ]);
  expect(dataOf(events, 'run_start')).toMatchObject({ message_chars: 12 });
  expect(dataOf(events, 'tool_call')).toMatchObject({ outcome: 'returned', arguments_chars: 20 });
  expect(service.logs.filter(({ msg }) => msg === 'tool call')).toEqual([]);
});
