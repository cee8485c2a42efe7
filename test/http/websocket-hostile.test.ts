import { describe, expect, test } from 'vitest';
import { startChat } from '../helpers/chat.ts';
import { startService } from '../helpers/service.ts';
import { openSocket, textOf, typesOf } from '../helpers/socket.ts';

const ask = { type: 'query', prompt: 'Say hello to me.' };
const query = (fields: object) => JSON.stringify({ ...ask, ...fields });
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

/** What is sent, what `error` says, and the fields that it names. */
const refused: [name: string, message: string | Buffer, error: string | RegExp, paths: string[]][] = [
  ['nothing', '', 'The message is empty; send a JSON object.', []],
  ['no JSON', 'hello', 'The message is not valid JSON.', []],
  ['half of a JSON text', '{"type":"que', 'The message is not valid JSON.', []],
  ['a NUL after the JSON', `${query({})}\0`, 'The message is not valid JSON.', []],
  ['bytes', Buffer.from(query({})), 'The message is binary; send JSON as text.', []],
  ['an array', '[]', 'The message must be a JSON object.', []],
  ['null', 'null', 'The message must be a JSON object.', []],
  ['a number', '1', 'The message must be a JSON object.', []],
  ['deep JSON', deep(100_000), 'The message is nested more than 100 levels deep.', []],
  ['deep JSON in a field', query({ metadata: { a: 0 } }).replace('0', deep(100)), /100 levels deep/, []],
  ['very many values', `[${'0,'.repeat(30_000)}0]`, 'The message has more than 20000 values.', []],
  ['no type', '{}', 'type is required.', ['type']],
  [
    'an unknown type',
    '{"type":"qeury"}',
    'type must be one of: query, cancel, clear, resume, steer.',
    ['type'],
  ],
  ['a type close to a known one', '{"type":"querry"}', /; did you mean query\?$/, ['type']],
  ['the type of a prototype', '{"type":"constructor"}', /^type must be one of/, ['type']],
  ['a type that is no text', '{"type":{"query":1}}', /^type must be one of/, ['type']],
  [
    'a prototype key',
    query({}).replace('{', '{"__proto__":{"x":1},'),
    '__proto__ is not an allowed name.',
    ['__proto__'],
  ],
  [
    'a prototype key inside',
    query({ metadata: { constructor: { prototype: {} } } }),
    'metadata.constructor is not an allowed name.',
    ['metadata.constructor'],
  ],
  ['no prompt', '{"type":"query"}', 'prompt is required.', ['prompt']],
  ['a blank prompt', query({ prompt: ' ' }), 'prompt must not be blank.', ['prompt']],
  ['a prompt that is no text', query({ prompt: 1 }), 'prompt must be a string.', ['prompt']],
  ['a long prompt', query({ prompt: 'a'.repeat(2 ** 20 + 1) }), /^prompt must have at most/, ['prompt']],
  [
    'a prompt of many bytes',
    query({ prompt: 'ä'.repeat(2 ** 19 + 1) }),
    'prompt must have at most 1 MiB.',
    ['prompt'],
  ],
  [
    'an unknown field',
    query({ temprature: 1 }),
    'temprature is not a known field; did you mean temperature?',
    ['temprature'],
  ],
  [
    'the HTTP name of a field',
    query({ session_id: 'a' }),
    'session_id is not a known field; did you mean sessionId?',
    ['session_id'],
  ],
  [
    'several wrong fields',
    query({ effort: 'huge', temperature: 3, sessionId: '' }),
    /\(and 2 more\)\.$/,
    ['sessionId', 'effort', 'temperature'],
  ],
  ['an unknown model', query({ model: 'nope' }), /^model is not available/, ['model']],
  ['an unknown tool', query({ tools: ['nope'] }), /^tools\[0\] is not a tool/, ['tools[0]']],
  [
    'a file without content',
    query({ files: [{ file_name: 'a.txt' }] }),
    'files[0] must have exactly one of content, content_base64, signed_url.',
    ['files[0]'],
  ],
  [
    'an image that is none',
    query({ images: [{ data: '?', mime_type: 'image/png' }] }),
    /base64/,
    ['images[0].data'],
  ],
  [
    'an address inside',
    query({ files: [{ file_name: 'a', signed_url: 'https://127.0.0.1/' }] }),
    /signed_url/,
    ['files[0].signed_url'],
  ],
  ['a cancel of nothing', '{"type":"cancel"}', 'No run is under way on this socket.', []],
  ['a cancel of an unknown run', '{"type":"cancel","runId":"run_1"}', 'There is no such run.', []],
  ['a cancel with more', '{"type":"cancel","all":true}', 'all is not a known field.', ['all']],
  ['a clear without a session', '{"type":"clear"}', 'sessionId is required.', ['sessionId']],
  ['a clear of an unknown session', '{"type":"clear","sessionId":"x"}', 'There is no such session.', []],
  ['a resume without its run', '{"type":"resume","after":0}', 'runId is required.', ['runId']],
  ['a resume of an unknown run', '{"type":"resume","runId":"../x","after":0}', 'There is no such run.', []],
  [
    'a resume from before the start',
    '{"type":"resume","runId":"x","after":-1}',
    'after must be at least 0.',
    ['after'],
  ],
  [
    'a resume from between',
    '{"type":"resume","runId":"x","after":1.5}',
    'after must be an integer.',
    ['after'],
  ],
  ['a resume from too far', '{"type":"resume","runId":"x","after":1e400}', /^after must be/, ['after']],
  [
    'a steer of an unknown run',
    '{"type":"steer","runId":"x","content":"Stop."}',
    'There is no such run.',
    [],
  ],
  [
    'a steer that says nothing',
    '{"type":"steer","runId":"x","content":""}',
    /^content must not be blank/,
    ['content'],
  ],
];

describe('a message that cannot be carried out', () => {
  test.each(refused)('%s', async (_name, message, error, paths) => {
    const { service, fake } = await startChat([]);
    const client = await openSocket(service);
    client.socket.send(message);
    const [frame] = await client.until('error');
    expect(frame).toMatchObject({ type: 'error', retryable: false });
    expect(frame?.error).toEqual(typeof error === 'string' ? error : expect.stringMatching(error));
    expect((frame?.errors ?? []).map(({ path }) => path)).toEqual(paths);
    expect('seq' in (frame ?? {})).toBe(false);
    client.socket.send('{"type":"cancel"}');
    expect((await client.until('error'))[0]?.error).toBe('No run is under way on this socket.');
    expect(fake.requests).toEqual([]);
    expect(
      await service.services.sessions.list(
        { tenant: 'default', subject: 'anonymous' },
        { limit: 9 },
        new AbortController().signal,
      ),
    ).toEqual({ sessions: [] });
    expect({}).not.toHaveProperty('x');
  });
});

test('all of them at once are answered in order, and then a query', async () => {
  const { service } = await startChat([{ text: 'Hello.' }]);
  const client = await openSocket(service);
  for (const [, message] of refused) client.socket.send(message);
  client.send({ ...ask, prompt: 'a\0b "quoted" \ud83d\ude00 \u2028' });
  const frames = await client.until('complete');
  const errors = frames.filter(({ type }) => type === 'error');
  for (const [index, [, , error]] of refused.entries()) {
    expect(errors[index]?.error).toEqual(typeof error === 'string' ? error : expect.stringMatching(error));
  }
  expect(errors.length).toBe(refused.length);
  expect(textOf(frames)).toBe('Hello.');
});

describe('what breaks the protocol closes the socket', () => {
  const mask = Buffer.alloc(4);
  test.each([
    [
      'a message above MAX_BODY_BYTES',
      Buffer.concat([Buffer.from([0x81, 0xfe, 0x04, 0x01]), mask, Buffer.alloc(1025)]),
      1009,
    ],
    [
      'the announcement of a terabyte',
      Buffer.concat([Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0]), mask]),
      1009,
    ],
    [
      'text that is not UTF-8',
      Buffer.concat([Buffer.from([0x81, 0x82]), mask, Buffer.from([0xc3, 0x28])]),
      1007,
    ],
    ['a frame without a mask', Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ['an unknown opcode', Buffer.concat([Buffer.from([0x83, 0x80]), mask]), 1002],
    ['compression that was not agreed on', Buffer.concat([Buffer.from([0xc1, 0x80]), mask]), 1002],
    ['a continuation of nothing', Buffer.concat([Buffer.from([0x80, 0x80]), mask]), 1002],
  ])('%s', async (_name, bytes, code) => {
    const service = await startService({ MAX_BODY_BYTES: '1024' });
    const [client, other] = [await openSocket(service), await openSocket(service)];
    // what is said of the settings at the start is no matter here
    service.logs.length = 0;
    client.wire.write(bytes);
    expect(await client.closed).toBe(code);
    other.send(ask);
    expect(typesOf(await other.until('complete', 'error')).at(-1)).toBe('complete');
    expect(service.logs.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });
});

test('a message in many pieces is one message', async () => {
  const { service } = await startChat([{ text: 'Hello.' }]);
  const client = await openSocket(service);
  const pieces = [...query({})];
  for (const [index, piece] of pieces.entries())
    client.socket.send(piece, { fin: index === pieces.length - 1 });
  expect(textOf(await client.until('complete', 'error'))).toBe('Hello.');
});

test('a socket that is cut in the middle of a frame leaves nothing behind', async () => {
  const service = await startService();
  const client = await openSocket(service);
  client.wire.write(Buffer.from([0x81, 0xfe, 0x7f, 0xff, 0, 0, 0, 0, 0x7b]), () => client.wire.destroy());
  await client.closed;
  await expect.poll(async () => (await service.services.metrics.webSockets.get()).values[0]?.value).toBe(0);
  expect(service.services.runs.activeCount).toBe(0);
});

test('of a peer that sends and never reads no more is taken, and its heartbeat ends it', async () => {
  const service = await startService({}, { heartbeatMs: 200 });
  const client = await openSocket(service);
  client.wire.pause();
  const junk = JSON.stringify({ type: 'resume', runId: 'x'.repeat(128), after: 0 });
  for (let count = 0; count < 100_000; count += 1) client.socket.send(junk);
  const { webSockets, errors } = service.services.metrics;
  await expect.poll(async () => (await webSockets.get()).values[0]?.value, { timeout: 10_000 }).toBe(0);
  const taken = (await errors.get()).values.find(({ labels }) => labels.type === 'not_found')?.value;
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(80_000);
});
