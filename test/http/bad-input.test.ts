import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { problemOf } from '../helpers/chat.ts';
import { type Answer, type Contract, eventsOf, loadContract, send } from '../helpers/contract.ts';
import { jsonPost, startService, type TestService } from '../helpers/service.ts';

const routes = [
  ['chat', '/api/chat'],
  ['streamChat', '/api/chat/stream'],
] as const;
const ask = { message: 'Say hello.' };

let loaded: Promise<Contract> | undefined;
/** Every service here describes itself the same, so once is enough. */
const contractOf = (service: TestService) => (loaded ??= loadContract(service));

type Errors = [path: string, message: string][];
type Refusal = { status?: number; kind?: string; detail: string; errors?: Errors };

/** Both chat routes must refuse the request so, and answer a good one afterwards. */
async function expectRefusal(init: RequestInit, refusal: Refusal): Promise<void> {
  const service = await startService();
  const contract = await contractOf(service);
  const { status = 400, kind = 'invalid_request', detail, errors } = refusal;
  for (const [operationId, path] of routes) {
    const answer = await send(service, path, init);
    contract.check(operationId, answer);
    const { type, status: found, detail: said, errors: listed } = contract.checkProblem(answer);
    expect({ type, status: found, detail: said, errors: listed }).toEqual({
      type: `urn:paf:error:${kind}`,
      status,
      detail,
      errors: errors?.map(([name, message]) => ({ path: name, message })),
    });
  }
  await expectAlive(service);
}

/** The service works, has nothing left over from before and met nothing unexpected. */
async function expectAlive(service: TestService): Promise<void> {
  const answer = await send(service, '/api/chat', jsonPost(ask));
  expect(answer.status, answer.text).toBe(200);
  expect(service.services.runs.activeCount).toBe(0);
  const isError = (line: Record<string, unknown>) => Number(line.level) >= 50;
  expect(service.logs.filter(isError)).toEqual([]);
}

/** A refusal with one problem, whose text is also the detail. */
const one = (path: string, message: string, more: Partial<Refusal> = {}): Refusal => ({
  detail: `${path} ${message}${/[.?]$/.test(message) ? '' : '.'}`,
  errors: [[path, message]],
  ...more,
});

const raw = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): RequestInit => ({
  ...jsonPost({}, headers),
  body,
});

const file = { file_name: 'notes.txt', content: 'one\ntwo' };
const nested = (depth: number, open: string, close: string, inside = '') =>
  open.repeat(depth) + inside + close.repeat(depth);
const tooDeep = { detail: 'The body is nested more than 100 levels deep.' };
const tooMany = { detail: 'The body has more than 20000 values.' };
/** A body of about 4 MB that is small pieces and nothing else. */
const fourMegabytes = (start: string, piece: (index: number) => string, end: string) =>
  raw(
    `${start}${Array.from({ length: 4_000_000 / piece(0).length }, (_, index) => piece(index)).join('')}${end}`,
  );
const schemaFormat = (schema: unknown) => ({ ...ask, response_format: { type: 'json_schema', schema } });
const schemaPath = 'response_format.schema';
const oneOfFormats = 'must be one of: text, json_object, json_schema';

const wrongBodies: Record<string, [body: unknown, refusal: Refusal]> = {
  'no message': [{}, one('message', 'is required')],
  'a blank message': [{ message: ' \n\t ' }, one('message', 'must not be blank')],
  'an empty message': [{ message: '' }, one('message', 'must not be blank')],
  'a message that is a number': [{ message: 7 }, one('message', 'must be a string')],
  'a message that is null': [{ message: null }, one('message', 'must be a string')],
  'a message that is too long': [
    { message: 'x'.repeat(1024 * 1024 + 1) },
    one('message', 'must have at most 1048576 characters'),
  ],
  'a message of too many bytes': [
    { message: '€'.repeat(400_000) },
    one('message', 'must have at most 1 MiB'),
  ],
  'an unknown field': [{ ...ask, colour: 'red' }, one('colour', 'is not a known field')],
  'a misspelt field': [
    { ...ask, temprature: 1 },
    one('temprature', 'is not a known field; did you mean temperature?'),
  ],
  'a misspelt message': [
    { mesage: 'Hi' },
    {
      detail: 'message is required (and 1 more).',
      errors: [
        ['message', 'is required'],
        ['mesage', 'is not a known field; did you mean message?'],
      ],
    },
  ],
  'a misspelt field of a file': [
    { ...ask, files: [{ ...file, line_strat: 1 }] },
    one('files[0].line_strat', 'is not a known field; did you mean line_start?'),
  ],
  'an array as the body': [[ask], one('body', 'must be an object')],
  'a string as the body': ['Hi', one('body', 'must be an object')],
  'null as the body': [null, one('body', 'must be an object')],
  'a flag that is a string': [{ ...ask, show_thinking: 'true' }, one('show_thinking', 'must be a boolean')],
  'a temperature of 3': [{ ...ask, temperature: 3 }, one('temperature', 'must be at most 2')],
  'a negative temperature': [{ ...ask, temperature: -0.1 }, one('temperature', 'must be at least 0')],
  'a temperature that is a string': [{ ...ask, temperature: '0.5' }, one('temperature', 'must be a number')],
  'max_tokens of 0': [{ ...ask, max_tokens: 0 }, one('max_tokens', 'must be at least 1')],
  'max_tokens with a fraction': [{ ...ask, max_tokens: 1.5 }, one('max_tokens', 'must be an integer')],
  'max_cost_usd of 0': [{ ...ask, max_cost_usd: 0 }, one('max_cost_usd', 'must be greater than 0')],
  'a window that is too small': [
    { ...ask, context_window_size: 255 },
    one('context_window_size', 'must be at least 256'),
  ],
  'memory_limit of 0': [{ ...ask, memory_limit: 0 }, one('memory_limit', 'must be at least 1')],
  'memory_limit of 21': [{ ...ask, memory_limit: 21 }, one('memory_limit', 'must be at most 20')],
  'an unknown effort': [
    { ...ask, effort: 'extreme' },
    one('effort', 'must be one of: quick, standard, determined'),
  ],
  'an unknown on_disconnect': [
    { ...ask, on_disconnect: 'stop' },
    one('on_disconnect', 'must be one of: cancel, continue'),
  ],
  'an unknown model': [{ ...ask, model: 'gpt-9' }, one('model', 'is not available; there is: demo')],
  'an empty model': [{ ...ask, model: '' }, one('model', 'must not be empty')],
  'an unknown provider': [{ ...ask, provider: 'acme' }, one('provider', 'is not configured; there is: demo')],
  'an unknown tool': [
    { ...ask, tools: ['calculator', 'teleport'] },
    one('tools[1]', 'is not a tool; there is: calculator, current_time, read_file_part, search_files'),
  ],
  'a tool that every object has': [
    { ...ask, tools: ['constructor'] },
    one('tools[0]', 'is not a tool; there is: calculator, current_time, read_file_part, search_files'),
  ],
  'tools that are no list': [{ ...ask, tools: 'calculator' }, one('tools', 'must be an array')],
  '51 history items': [
    { ...ask, history: Array(51).fill({ role: 'user', content: 'Hi' }) },
    one('history', 'must have at most 50 items'),
  ],
  'a role that does not exist': [
    { ...ask, history: [{ role: 'robot', content: 'Hi' }] },
    one('history[0].role', 'must be one of: user, assistant, system'),
  ],
  'a history item without content': [
    { ...ask, history: [{ role: 'user' }] },
    one('history[0].content', 'is required'),
  ],
  'history with a session': [
    { ...ask, session_id: 's-1', history: [] },
    one('history', 'must not come together with session_id'),
  ],
  'an unknown session': [
    { ...ask, session_id: 's-1' },
    { status: 404, kind: 'not_found', detail: 'There is no such session.' },
  ],
  '21 files': [{ ...ask, files: Array(21).fill(file) }, one('files', 'must have at most 20 items')],
  'a file without a name': [{ ...ask, files: [{ content: 'Hi' }] }, one('files[0].file_name', 'is required')],
  'a file with two names': [
    { ...ask, files: [{ ...file, path: 'a.txt' }] },
    one('files[0]', 'must have file_name or path, not both'),
  ],
  'a file without content': [
    { ...ask, files: [{ file_name: 'a.txt' }] },
    one('files[0]', 'must have exactly one of content, content_base64, signed_url'),
  ],
  'a file with two contents': [
    { ...ask, files: [file, { ...file, content_base64: 'SGk=' }] },
    one('files[1]', 'must have exactly one of content, content_base64, signed_url'),
  ],
  'a signed URL': [
    { ...ask, files: [{ file_name: 'a.txt', signed_url: 'https://169.254.169.254/a.txt' }] },
    one('files[0].signed_url', 'names a host that has no public address'),
  ],
  'bad base64': [
    { ...ask, files: [{ file_name: 'a.txt', content_base64: 'S*k=' }] },
    one('files[0].content_base64', 'is not valid base64'),
  ],
  'base64 that is cut off': [
    { ...ask, files: [{ file_name: 'a.txt', content_base64: 'SGk' }] },
    one('files[0].content_base64', 'is not valid base64'),
  ],
  'a file that is not text': [
    { ...ask, files: [{ file_name: 'a.bin', content_base64: 'AP/+' }] },
    one('files[0].content_base64', 'is no text and no type of file that can be read', {
      status: 422,
      kind: 'invalid_file',
    }),
  ],
  'a file that is larger than it says': [
    { ...ask, files: [{ ...file, file_size: 3 }] },
    one('files[0].file_size', 'is 3, but the content has 7 bytes'),
  ],
  'line 0': [
    { ...ask, files: [{ ...file, line_start: 0 }] },
    one('files[0].line_start', 'must be at least 1'),
  ],
  'line_start after line_end': [
    { ...ask, files: [{ ...file, line_start: 2, line_end: 1 }] },
    one('files[0].line_start', 'must not be greater than line_end'),
  ],
  'line_start beyond the file': [
    { ...ask, files: [{ ...file, line_start: 3 }] },
    one('files[0].line_start', 'is 3, but the file has 2 lines', { status: 422, kind: 'invalid_file' }),
  ],
  'an image that is no base64': [
    { ...ask, images: [{ data: '?', mime_type: 'image/png' }] },
    one('images[0].data', 'is not valid base64'),
  ],
  'an image of an unknown type': [
    { ...ask, images: [{ data: 'SGk=', mime_type: 'image/tiff' }] },
    one('images[0].mime_type', 'must be one of: image/png, image/jpeg, image/gif, image/webp'),
  ],
  'an image that no model takes': [
    { ...ask, images: [{ data: 'SGk=', mime_type: 'image/png' }] },
    one('images', 'are not accepted by any available model'),
  ],
  'metadata that are too large': [
    { ...ask, metadata: { note: 'x'.repeat(16 * 1024) } },
    one('metadata', 'must have at most 16 KiB'),
  ],
  'metadata that are no object': [{ ...ask, metadata: [1] }, one('metadata', 'must be an object')],
  'an unknown response format': [
    { ...ask, response_format: { type: 'yaml' } },
    one('response_format.type', oneOfFormats),
  ],
  'a response format without type': [
    { ...ask, response_format: {} },
    one('response_format.type', 'is required'),
  ],
  'json_schema without a schema': [
    { ...ask, response_format: { type: 'json_schema' } },
    one(schemaPath, 'is required for type json_schema'),
  ],
  'a schema that is not wanted': [
    { ...ask, response_format: { type: 'json_object', schema: {} } },
    one(schemaPath, 'only goes with type json_schema'),
  ],
  'a schema of an unknown type': [
    schemaFormat({ type: 'object', properties: { name: { type: 'txt' } } }),
    one(
      schemaPath,
      'is not a valid JSON Schema: schema/properties/name/type must be equal to one of the allowed values',
    ),
  ],
  'a schema that refers to a stranger': [
    schemaFormat({ $ref: 'http://169.254.169.254/latest' }),
    one(
      schemaPath,
      "is not a valid JSON Schema: can't resolve reference http://169.254.169.254/latest from id #",
    ),
  ],
  'a schema with a broken pattern': [
    schemaFormat({ type: 'string', pattern: '(' }),
    one(schemaPath, 'is not a valid JSON Schema: Invalid regular expression: /(/u: Unterminated group'),
  ],
  'a schema that would answer later': [
    schemaFormat({ $async: true }),
    one(schemaPath, 'must not have $async'),
  ],
  'a schema that is huge': [
    schemaFormat({ enum: Array.from({ length: 15_000 }, (_, index) => index) }),
    one(schemaPath, 'must have at most 64 KiB'),
  ],
  'a schema that keeps the compiler busy': [
    schemaFormat({
      allOf: Array.from({ length: 1200 }, (_, index) => ({ properties: { [`p${index}`]: {} } })),
      unevaluatedProperties: false,
    }),
    one(schemaPath, 'takes too long to check'),
  ],
  'everything wrong at once': [
    { message: 1, effort: 2, files: [{ ...file, line_end: 0 }], tools: [1], more: true },
    {
      detail: 'more is not a known field (and 4 more).',
      errors: [
        ['more', 'is not a known field'],
        ['message', 'must be a string'],
        ['files[0].line_end', 'must be at least 1'],
        ['effort', 'must be one of: quick, standard, determined'],
        ['tools[0]', 'must be a string'],
      ],
    },
  ],
};

describe('a body is refused that', () => {
  test.each(Object.entries(wrongBodies))('has %s', (_name, [body, refusal]) =>
    expectRefusal(jsonPost(body), refusal),
  );

  test('has 41 problems: 20 of them are listed', async () => {
    const service = await startService();
    const unknown = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`field_${index}`, 1]));
    const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 1, ...unknown }));
    const { detail, errors } = await problemOf(response);
    expect(detail).toBe('field_0 is not a known field (and 40 more).');
    expect(errors?.length).toBe(20);
  });

  test('has 19,998 problems: the first are looked at', async () => {
    const service = await startService();
    const unknown = Object.fromEntries(Array.from({ length: 19_998 }, (_, index) => [`field_${index}`, 1]));
    const response = await fetch(`${service.url}/api/chat`, jsonPost({ ...ask, ...unknown }));
    const { detail, errors } = await problemOf(response);
    expect(detail).toBe('field_0 is not a known field (and at least 99 more).');
    expect(errors?.map(({ path }) => path)).toEqual(
      Array.from({ length: 20 }, (_, index) => `field_${index}`),
    );
  });

  test('has a field with an endless name: it is cut', async () => {
    const service = await startService();
    const response = await fetch(`${service.url}/api/chat`, jsonPost({ ...ask, ['x'.repeat(100_000)]: 1 }));
    expect((await problemOf(response)).detail).toBe(`${'x'.repeat(100)} is not a known field.`);
  });
});

const invalidJson = { detail: 'The body is not valid JSON.' };
const mediaType = {
  status: 415,
  kind: 'unsupported_media_type',
  detail: 'The Content-Type must be application/json.',
};
const forbiddenName = (path: string) => one(path, 'is not an allowed name');
const bytes = (...parts: (string | number[])[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

const wrongBytes: Record<string, [init: RequestInit, refusal: Refusal]> = {
  'an empty body': [raw(''), { detail: 'The body is empty; send a JSON object.' }],
  'no body at all': [{ method: 'POST' }, one('body', 'must be an object')],
  'half a body': [raw('{"message":'), invalidJson],
  'two bodies': [raw('{"message":"a"}{"message":"b"}'), invalidJson],
  'plain text': [raw('Hello'), invalidJson],
  NaN: [raw('{"message":"Hi","temperature":NaN}'), invalidJson],
  'a comment': [raw('{"message":"Hi"} // please'), invalidJson],
  'single quotes': [raw("{'message':'Hi'}"), invalidJson],
  'a raw newline in a string': [raw('{"message":"a\nb"}'), invalidJson],
  'UTF-16': [
    raw(new Uint8Array(Buffer.from('\ufeff{"message":"Hi"}', 'utf16le'))),
    { detail: 'The body is not valid UTF-8.' },
  ],
  'bytes that are no UTF-8': [
    raw(bytes('{"message":"', [0xff, 0xc0], '"}')),
    { detail: 'The body is not valid UTF-8.' },
  ],
  'an encoded surrogate': [
    raw(bytes('{"message":"', [0xed, 0xa0, 0x80], '"}')),
    { detail: 'The body is not valid UTF-8.' },
  ],
  'a number beyond all numbers': [
    raw('{"message":"Hi","max_tokens":1e999}'),
    one('max_tokens', 'must be an integer'),
  ],
  __proto__: [raw('{"message":"Hi","__proto__":{"admin":true}}'), forbiddenName('__proto__')],
  '__proto__ inside': [
    raw('{"message":"Hi","metadata":{"list":[{"__proto__":1}]}}'),
    forbiddenName('metadata.list[0].__proto__'),
  ],
  'constructor.prototype': [
    raw('{"message":"Hi","metadata":{"constructor":{"prototype":{}}}}'),
    forbiddenName('metadata.constructor'),
  ],
  '100,000 arrays in each other': [raw(nested(100_000, '[', ']')), tooDeep],
  '100,000 objects in metadata': [
    raw(`{"message":"Hi","metadata":${nested(100_000, '{"a":', '}', '1')}}`),
    tooDeep,
  ],
  'a schema of 101 levels': [
    raw(
      `{"message":"Hi","response_format":{"type":"json_schema","schema":${nested(101, '{"items":', '}', '{}')}}}`,
    ),
    tooDeep,
  ],
  '4 MB of numbers': [fourMegabytes('{"message":"Hi","tools":[', () => '0,', '0]}'), tooMany],
  '4 MB of empty lists': [fourMegabytes('{"message":"Hi","metadata":{"a":[', () => '[],', '0]}}'), tooMany],
  '4 MB of unknown fields': [fourMegabytes('{', (index) => `"k${index}":0,`, '"message":"Hi"}'), tooMany],
  '20,001 values': [jsonPost({ ...ask, metadata: Array(19_998).fill([]) }), tooMany],
  '20,000 values': [
    jsonPost({ ...ask, metadata: Array(19_997).fill([]) }),
    one('metadata', 'must be an object'),
  ],
  'text/plain': [raw(JSON.stringify(ask), { 'content-type': 'text/plain' }), mediaType],
  'a form': [raw('message=Hi', { 'content-type': 'application/x-www-form-urlencoded' }), mediaType],
  'a garbled content type': [raw(JSON.stringify(ask), { 'content-type': 'json!' }), mediaType],
  'no content type': [{ method: 'POST', body: bytes(JSON.stringify(ask)) }, mediaType],
  gzip: [
    raw(new Uint8Array(gzipSync(JSON.stringify(ask))), { 'content-encoding': 'gzip' }),
    {
      status: 415,
      kind: 'unsupported_media_type',
      detail: 'The body must not be compressed: no Content-Encoding is supported.',
    },
  ],
  '33 MiB': [
    raw(JSON.stringify({ message: 'x'.repeat(33 * 1024 * 1024) })),
    { status: 413, kind: 'payload_too_large', detail: 'The body is too large.' },
  ],
  'a blank in Idempotency-Key': [
    jsonPost(ask, { 'idempotency-key': 'a b' }),
    one('idempotency-key', 'has characters that are not allowed'),
  ],
  'an empty Idempotency-Key': [
    jsonPost(ask, { 'idempotency-key': '' }),
    one('idempotency-key', 'must not be empty'),
  ],
  '256 characters in Idempotency-Key': [
    jsonPost(ask, { 'idempotency-key': 'a'.repeat(256) }),
    one('idempotency-key', 'must have at most 255 characters'),
  ],
};

describe('a request is refused with', () => {
  test.each(Object.entries(wrongBytes))('%s', (_name, [init, refusal]) => expectRefusal(init, refusal));

  test('a body that turns out too large while it is sent', async () => {
    const service = await startService({ MAX_BODY_BYTES: '100000' });
    const { status, text } = await sendInPieces(service, 400, 'x'.repeat(1000));
    expect(status).toBe(413);
    expect(JSON.parse(text)).toMatchObject({ status: 413, detail: 'The body is too large.' });
    await expectAlive(service);
  });
});

/** Posts a body without saying how long it is. Stops writing once an answer is there. */
function sendInPieces(
  service: TestService,
  count: number,
  piece: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${service.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
    });
    let isAnswered = false;
    request.on('response', (response) => {
      isAnswered = true;
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', (error) => {
      if (!isAnswered) reject(error);
    });
    request.write('{"message":"');
    for (let sent = 0; sent < count; sent += 1) request.write(piece);
    request.end('"}');
  });
}

const good: Record<string, RequestInit> = {
  'a byte order mark': raw(`\ufeff${JSON.stringify(ask)}`),
  'a duplicate key, of which the last one counts': raw('{"message":1,"message":"Say hello."}'),
  'a lone surrogate': raw('{"message":"Say \\ud800 hello."}'),
  'a NUL in a string': raw('{"message":"Say \\u0000 hello."}'),
  'a field of metadata named constructor': jsonPost({ ...ask, metadata: { constructor: 'Acme' } }),
  'a charset': jsonPost(ask, { 'content-type': 'application/json; charset=utf-8' }),
  'a schema of an older draft': jsonPost(
    schemaFormat({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' }),
  ),
  'a schema that holds itself': jsonPost(
    schemaFormat({ type: 'object', properties: { child: { $ref: '#' } } }),
  ),
  'a schema that is the schema of schemas': jsonPost(
    schemaFormat({ $ref: 'https://json-schema.org/draft/2020-12/schema' }),
  ),
  'a schema with a hostile pattern': jsonPost(schemaFormat({ type: 'string', pattern: '^(a+)+$' })),
  'what would be too many values outside a string': jsonPost({
    message: 'Say hello.',
    files: [{ file_name: 'notes.txt', content: '",[\\{'.repeat(20_000) }],
  }),
  'a huge whole number': raw('{"message":"Say hello.","max_tokens":1e300}'),
  'an empty list of everything': jsonPost({ ...ask, files: [], images: [], history: [], tools: [] }),
  'a session-less history of 50': jsonPost({
    ...ask,
    history: Array(50).fill({ role: 'user', content: 'Hi' }),
  }),
  '10 KB in a header': jsonPost(ask, { 'x-note': 'a'.repeat(10_240) }),
};

test.each(Object.entries(good))('a request is answered with %s', async (_name, init) => {
  const service = await startService();
  const contract = await contractOf(service);
  for (const [operationId, path] of routes) {
    const answer = await send(service, path, init);
    expect(answer.status, answer.text).toBe(200);
    contract.check(operationId, answer);
    if (operationId === 'streamChat') expect(eventsOf(answer.text).at(-2)?.event).toBe('complete');
  }
  await expectAlive(service);
});

/** Sends bytes as they are and returns all that comes back until the connection is closed. */
function exchange(service: TestService, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (part) => {
      answer += part.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const toAnswer = (text: string): Answer => {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const [name = '', ...value] = line.split(':');
      return [name, value.join(':').trim()];
    }),
  );
  const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
  return { status: Number(first.split(' ')[1]), type, headers, text: body };
};

const plain = 'Host: x\r\nConnection: close';

const brokenRequests: Record<string, [text: string, status: number, detail: string]> = {
  'no HTTP': ['HELO\r\n\r\n', 400, 'The request is not valid HTTP.'],
  'an unknown method': [`BREW / HTTP/1.1\r\n${plain}\r\n\r\n`, 400, 'The request is not valid HTTP.'],
  'a control character in a header': [
    `GET /api/health HTTP/1.1\r\n${plain}\r\nX-Request-Id: a\u0001b\r\n\r\n`,
    400,
    'The request is not valid HTTP.',
  ],
  'two lengths': [
    `POST /api/chat HTTP/1.1\r\n${plain}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'The request is not valid HTTP.',
  ],
  'headers of 20 KB': [
    `GET /api/health HTTP/1.1\r\n${plain}\r\nX-Note: ${'a'.repeat(20_000)}\r\n\r\n`,
    431,
    'The headers are too large.',
  ],
};

test.each(Object.entries(brokenRequests))(
  '%s is answered as a problem',
  async (_name, [text, status, detail]) => {
    const service = await startService();
    const contract = await contractOf(service);
    const answer = toAnswer(await exchange(service, text));
    expect(contract.checkProblem(answer)).toMatchObject({ status, detail });
    expect(answer.headers.get('connection')).toBe('close');
    await expectAlive(service);
  },
);

const wrongPaths: [method: string, path: string, status: number, detail: string, allow?: string][] = [
  ['GET', '/nothing', 404, 'There is no route GET /nothing.'],
  ['GET', '/', 404, 'There is no route GET /.'],
  ['POST', '//api//chat', 404, 'There is no route POST //api//chat.'],
  ['GET', '/api/runs/', 404, 'There is no route GET /api/runs/.'],
  ['GET', '/api/%00', 404, 'There is no route GET /api/%00.'],
  ['GET', '/api/..%2f..%2fetc/passwd', 404, 'There is no route GET /api/..%2f..%2fetc/passwd.'],
  [
    'GET',
    '/docs/static/..%2f..%2f..%2fpackage.json',
    404,
    'There is no route GET /docs/static/..%2f..%2f..%2fpackage.json.',
  ],
  ['GET', `/${'a'.repeat(5000)}`, 404, `There is no route GET /${'a'.repeat(199)}.`],
  ['GET', '/api/runs/nope', 404, 'There is no such run.'],
  ['GET', '/api/runs/%00', 404, 'There is no such run.'],
  ['GET', '/api/runs/__proto__', 404, 'There is no such run.'],
  ['GET', `/api/runs/${'a'.repeat(5000)}`, 404, 'There is no such run.'],
  ['GET', '/api/runs/nope/events?after=1', 404, 'There is no such run.'],
  ['POST', '/api/runs/nope/cancel', 404, 'There is no such run.'],
  ['GET', '/api/runs/%', 400, 'The path has a percent sign that no valid escape follows.'],
  ['GET', '/api/runs/%zz/events', 400, 'The path has a percent sign that no valid escape follows.'],
  ['GET', '/%c3%28', 400, 'The path has a percent sign that no valid escape follows.'],
  ['GET', '/api/chat', 405, '/api/chat does not take GET, only POST.', 'POST'],
  ['PUT', '/api/chat/stream', 405, '/api/chat/stream does not take PUT, only POST.', 'POST'],
  ['DELETE', '/api/runs/nope', 405, '/api/runs/nope does not take DELETE, only GET, HEAD.', 'GET, HEAD'],
  ['POST', '/api/health', 405, '/api/health does not take POST, only GET, HEAD.', 'GET, HEAD'],
  ['PATCH', '/api/runs/nope/cancel/', 405, '/api/runs/nope/cancel/ does not take PATCH, only POST.', 'POST'],
  ['OPTIONS', '/api/chat', 405, '/api/chat does not take OPTIONS, only POST.', 'POST'],
];

test('a wrong path or method is a problem in plain words', async () => {
  const service = await startService();
  const contract = await contractOf(service);
  for (const [method, path, status, detail, allow = null] of wrongPaths) {
    const text = await exchange(service, `${method} ${path} HTTP/1.1\r\n${plain}\r\n\r\n`);
    const answer = toAnswer(text);
    expect(contract.checkProblem(answer)).toMatchObject({ status, detail });
    expect(answer.headers.get('allow'), path).toBe(allow);
  }
  const head = await send(service, '/api/chat', { method: 'HEAD' });
  expect({ status: head.status, text: head.text }).toEqual({ status: 405, text: '' });
  await expectAlive(service);
});

test('dot segments lead nowhere', async () => {
  const service = await startService();
  const contract = await contractOf(service);
  for (const path of ['/docs/static/../../package.json', '/docs/static/%2e%2e/%2e%2e/package.json']) {
    const text = await exchange(service, `GET ${path} HTTP/1.1\r\n${plain}\r\n\r\n`);
    expect(text).not.toContain('dependencies');
    expect(contract.checkProblem(toAnswer(text)).status).toBe(403);
  }
});

const wrongCursors: [query: string, header: string | undefined, path: string, message: string][] = [
  ['?after=x', undefined, 'after', 'must be a whole number'],
  ['?after=', undefined, 'after', 'must be a whole number'],
  ['?after=-1', undefined, 'after', 'must be a whole number'],
  ['?after=1.5', undefined, 'after', 'must be a whole number'],
  ['?after=1e3', undefined, 'after', 'must be a whole number'],
  [`?after=${'9'.repeat(400)}`, undefined, 'after', 'must be a whole number'],
  ['?after=999999', undefined, 'after', 'is beyond the newest event, 2'],
  ['?after=0', 'x', 'Last-Event-ID', 'must be a whole number'],
  ['?after=0', '99', 'Last-Event-ID', 'is beyond the newest event, 2'],
  ['?after=1&after=2', undefined, 'after', 'must be a string'],
];

test('a wrong cursor is named', async () => {
  const service = await startService();
  const contract = await contractOf(service);
  // a tool call that fails at once would be longer: this message cannot be answered at all
  const stream = await send(service, '/api/chat/stream', jsonPost({ message: 'word '.repeat(40_000) }));
  const run = stream.headers.get('x-run-id');
  expect(eventsOf(stream.text).map(({ event }) => event)).toEqual(['error', 'done']);
  for (const [query, header, path, message] of wrongCursors) {
    const headers: Record<string, string> = header === undefined ? {} : { 'last-event-id': header };
    const answer = await send(service, `/api/runs/${run}/events${query}`, { headers });
    contract.check('resumeRun', answer);
    expect(contract.checkProblem(answer)).toMatchObject({ status: 400, errors: [{ path, message }] });
  }
});

/** A good body with every field, as a start for mutations. */
const full = {
  message: 'Say hello in two words.',
  show_thinking: true,
  files: [{ ...file, line_start: 1, line_end: 2, metadata: { a: 1 } }],
  history: [{ role: 'user', content: 'Hi' }],
  memory_limit: 5,
  provider: 'demo',
  model: 'demo',
  effort: 'quick',
  temperature: 0.5,
  max_tokens: 50,
  max_cost_usd: 1,
  context_window_size: 10_000,
  tools: ['calculator'],
  response_format: { type: 'json_schema', schema: { type: 'object', properties: { a: { type: 'string' } } } },
  allow_revision: true,
  on_disconnect: 'cancel',
  metadata: { ticket: [1, { two: null }] },
};

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Step = string | number;

/** Where every value of a JSON document is. */
function pathsOf(value: Json, path: Step[] = []): Step[][] {
  if (typeof value !== 'object' || value === null) return [path];
  const steps: Step[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  const children = steps.map((step) => pathsOf((value as Record<Step, Json>)[step] as Json, [...path, step]));
  return [path, ...children.flat()];
}

type Mutation = { path: Step[]; change: 'replace' | 'remove' | 'add' | 'repeat'; name: string; value: Json };

function mutate(document: Json, { path, change, name, value }: Mutation): Json {
  if (path.length === 0 && change !== 'add') return change === 'replace' ? value : document;
  const copy = structuredClone(document);
  let parent: Json = copy;
  const last = change === 'add' ? undefined : path.at(-1);
  for (const step of change === 'add' ? path : path.slice(0, -1)) {
    parent = ((parent as Record<Step, Json> | null)?.[step] ?? null) as Json;
  }
  if (typeof parent !== 'object' || parent === null) return copy;
  const holder = parent as Record<Step, Json>;
  if (last === undefined)
    Object.defineProperty(holder, name, { value, enumerable: true, configurable: true });
  else if (change === 'remove') delete holder[last];
  else if (change === 'repeat') holder[last] = Array<Json>(30).fill(holder[last] ?? null);
  else holder[last] = value;
  return copy;
}

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    '',
    ' ',
    '\u0000',
    '\ud800',
    '/tool calculator {"a":1}',
  ),
  fc.constantFrom(
    '/tool calculator {"expression":"1/0"}',
    'NaN',
    '1e999',
    '../../etc/passwd',
    '%00',
    '{{7*7}}',
  ),
);
const hostileJson = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  hostileText,
  fc.constantFrom(0, -1, 1e308, -1e308, Number.MAX_SAFE_INTEGER + 2, 5e-324, true, null),
) as fc.Arbitrary<Json>;
const mutation: fc.Arbitrary<Mutation> = fc.record({
  path: fc.constantFrom(...pathsOf(full)),
  change: fc.constantFrom('replace', 'remove', 'add', 'repeat'),
  name: fc.oneof(hostileText, fc.constantFrom(...Object.keys(full))),
  value: hostileJson,
});
const mutatedBody = fc
  .array(mutation, { minLength: 1, maxLength: 4 })
  .map((mutations) => mutations.reduce(mutate, full as Json));

/** 2xx or a documented 4xx, as documented, and an end of every stream. */
async function expectSane(service: TestService, contract: Contract, init: RequestInit): Promise<void> {
  for (const [operationId, path] of routes) {
    const answer = await send(service, path, init);
    expect(answer.status, answer.text).toBeLessThan(500);
    contract.check(operationId, answer);
    expect(answer.text).not.toContain('internal_error');
    if (answer.type === 'text/event-stream') expect(eventsOf(answer.text).at(-1)?.event).toBe('done');
  }
}

async function checkBodies(bodies: fc.Arbitrary<string>, numRuns: number, seed: number): Promise<void> {
  const service = await startService();
  const contract = await contractOf(service);
  const property = fc.asyncProperty(bodies, (body) => expectSane(service, contract, raw(body)));
  await fc.assert(property, { numRuns, seed });
  await expectAlive(service);
}

describe('whatever is sent, the answer is 2xx or 4xx as documented', { timeout: 60_000 }, () => {
  test('for random JSON', () =>
    checkBodies(
      hostileJson.map((value) => JSON.stringify(value)),
      100,
      1,
    ));

  test('for good bodies with things changed, removed, added and repeated', () =>
    checkBodies(
      mutatedBody.map((value) => JSON.stringify(value)),
      200,
      2,
    ));

  test('for good bodies with bytes changed', () => {
    const text = JSON.stringify(full);
    const cut = fc
      .tuple(fc.nat(text.length), fc.nat(8), fc.string({ unit: 'binary', maxLength: 4 }))
      .map(([at, length, inserted]) => text.slice(0, at) + inserted + text.slice(at + length));
    return checkBodies(cut, 100, 3);
  });

  test('for random messages', () =>
    checkBodies(
      fc
        .string({ unit: 'binary', minLength: 1, maxLength: 400 })
        .map((message) => JSON.stringify({ message, allow_revision: true })),
      100,
      4,
    ));

  test('for random paths, queries and headers', async () => {
    const service = await startService();
    const contract = await contractOf(service);
    const known = contract.operations.map(({ path }) => path);
    const piece = fc.oneof(
      fc.constantFrom(
        'api',
        'runs',
        'chat',
        'events',
        'docs',
        'static',
        '..',
        '.',
        '%2e%2e',
        '%00',
        '%',
        '*',
        ':id',
      ),
      fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
    );
    const path = fc.oneof(
      fc.constantFrom(...known),
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`),
    );
    const printable = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
      maxLength: 60,
    });
    const request = fc.record({
      path,
      query: fc.oneof(
        fc.constant(''),
        printable.map((text) => `?after=${encodeURIComponent(text)}`),
        printable.map((text) => `?${text}`),
      ),
      name: fc.constantFrom(
        'last-event-id',
        'idempotency-key',
        'x-request-id',
        'accept',
        'range',
        'if-none-match',
        'origin',
      ),
      value: printable,
    });
    const property = fc.asyncProperty(request, async ({ path: where, query, name, value }) => {
      const target = `${where}${query}`.replaceAll(/[\s#]/g, '_');
      const answer = await send(service, target.startsWith('//') ? target.slice(1) : target, {
        headers: { [name]: value },
      });
      expect(answer.status, target).toBeLessThan(500);
      if (answer.status >= 400) contract.checkProblem(answer);
    });
    await fc.assert(property, { numRuns: 300, seed: 5 });
    await expectAlive(service);
  });
});
