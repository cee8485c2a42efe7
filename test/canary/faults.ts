import { once } from 'node:events';
import { connect } from 'node:net';
import { Metadata } from '@grpc/grpc-js';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { jsonPost } from '../helpers/service.ts';
import { collectCall, taskOf } from '../worker/worker-process.ts';
import type { Canaries } from './canaries.ts';
import { createClient, ownSinks, refusedSinks, signedHeaders, tokenOf } from './client.ts';
import { chatBody } from './drives.ts';
import { modelName, type World } from './world.ts';
import { wrongFields } from './wrong-fields.ts';

type Fault = (world: World) => Promise<unknown>;

const nowSeconds = () => Math.floor(Date.now() / 1000);
const failing = ({ canaries, fileHost }: World) => ({
  ...chatBody({ canaries, fileHost }),
  message: canaries.at('message of a failing run'),
});

/** An error as providers word it, with everything in it that they were sent. */
function quoted({ at, keyAt }: Canaries, provider: 'openai' | 'anthropic' | 'bedrock', type: string) {
  const key = provider === 'bedrock' ? at('AWS session token') : keyAt(`key of ${provider}`);
  const said = [at('message of a failing run'), at('file content'), at('system prompt')].join(' ');
  const message = `${at('error of a provider')}: incorrect key ${key} for ${said} at https://a:${key}@host/`;
  if (provider === 'bedrock') return { message, exception: type };
  const error = { message, type, code: type, param: said };
  return provider === 'openai' ? { error } : { type: 'error', error, request_id: message };
}

/** Errors inside an answer that nobody tries again. */
const lasting = {
  openai: 'invalid_request_error',
  anthropic: 'invalid_request_error',
  bedrock: 'validationException',
};

/** The providers' failures, of which only a few are so grave that the next call is not tried. */
async function providerFaults(world: World): Promise<void> {
  const { ann, openai, anthropic, bedrock, canaries } = world;
  const part = `It was ${canaries.at('answer that is cut off')} all along and`;
  const wrong = (provider: 'openai' | 'anthropic' | 'bedrock'): ScriptedReply[] => [
    { fault: { type: 'status', status: 400, body: quoted(canaries, provider, 'invalid_request_error') } },
    {
      fault: {
        type: 'status',
        status: 404,
        body: `<p>${JSON.stringify(quoted(canaries, provider, 'x'))}</p>`,
      },
    },
    { fault: { type: 'status', status: 401, body: quoted(canaries, provider, 'authentication_error') } },
    { text: part, fault: { type: 'error', after: 3, body: quoted(canaries, provider, lasting[provider]) } },
  ];
  for (const [provider, fake, model] of [
    ['openai', openai, modelName(canaries)],
    ['anthropic', anthropic, 'claude-canary'],
    ['bedrock', bedrock, 'bedrock-canary'],
  ] as const)
    for (const [index, reply] of wrong(provider).entries()) {
      fake.script(reply);
      const path = index % 2 === 0 ? '/api/chat/stream' : '/api/chat';
      const operation = index % 2 === 0 ? 'streamChat' : 'chat';
      await ann.send(operation, path, jsonPost({ ...failing(world), model }));
    }
  await ann.send('getHealth', '/api/health');
  await ann.send('listProviders', '/api/chat/providers');
  await ann.send('getStatus', '/api/chat/status');
}

/** Tokens that are wrong, each in one respect. */
async function tokens(world: World): Promise<void> {
  const { anybody, canaries, operator } = world;
  const { at, keyAt, note } = canaries;
  const secret = keyAt('JWT secret');
  const claims = { sub: 'ann', exp: nowSeconds() + 600 };
  const [expired, foreign] = [
    tokenOf(secret, { kid: at('expired token') }, { ...claims, email: at('expired token'), exp: 1 }),
    tokenOf(keyAt('token of another secret'), {}, { ...claims, email: at('token of another secret') }),
  ];
  note('expired token', expired.split('.')[2] ?? '');
  note('token of another secret', foreign.split('.')[2] ?? '');
  const bearers = [
    expired,
    foreign,
    at('garbled token'),
    `${at('garbled token')}.${at('garbled token')}.${at('garbled token')}`,
    `${foreign.slice(0, -5)}aaaaa`,
    tokenOf(secret, { alg: 'none', kid: at('garbled token') }, claims),
    tokenOf(secret, { crit: [at('garbled token')] }, claims),
    tokenOf(secret, {}, { ...claims, sub: { a: at('garbled token') } }),
    tokenOf(secret, {}, { ...claims, nbf: nowSeconds() + 900, email: at('garbled token') }),
    tokenOf(secret, {}, { ...claims, exp: at('garbled token') }),
    tokenOf(secret, {}, { ...claims, iss: at('garbled token') }),
    tokenOf(secret, {}, { ...claims, aud: [at('garbled token')] }),
    tokenOf(secret, {}, { ...claims, tenant: 7, roles: at('garbled token') }),
  ];
  for (const token of bearers)
    await anybody({ authorization: `Bearer ${token}` }).send('chat', '/api/chat', jsonPost(chatBody(world)));
  await anybody({ authorization: at('garbled token') }).send('getSession', '/api/sessions/x');
  await anybody({}).send(
    'chat',
    `/api/chat?access_token=${at('token in a query')}`,
    jsonPost(chatBody(world)),
  );
  await anybody({ authorization: `Bearer ${at('wrong metrics token')}` }).send('getMetrics', '/metrics');
  await operator.send('chat', '/api/chat', jsonPost({ message: 'Hi.' }));
}

/** Signatures that are wrong, after one that is right. */
async function signatures(world: World): Promise<void> {
  const { anybody, canaries } = world;
  const { at, keyAt } = canaries;
  const path = '/api/chat';
  const { method = '', body = '' } = jsonPost(chatBody(world));
  const sign = (keyId: string, secret: string, timestamp?: string) =>
    signedHeaders(canaries, { keyId, secret }, method, path, String(body), timestamp);
  const good = sign('signer', keyAt('older HMAC secret'));
  const init = { method, body, headers: { 'content-type': 'application/json' } } as const;
  world.openai.script({ text: `Yes, ${at('answer')}.` });
  await createClient(world.parts, ownSinks, () => good).send('chat', path, init);
  const token = tokenOf(keyAt('JWT secret'), {}, { sub: 'ann', exp: nowSeconds() + 600 });
  const right = () => sign('signer', keyAt('HMAC secret'));
  for (const headers of [
    // replayed
    good,
    sign('signer', keyAt('tampered signature')),
    sign(at('unknown key id'), keyAt('HMAC secret')),
    sign('signer', keyAt('HMAC secret'), '1000000000'),
    { ...right(), 'x-paf-signature': at('tampered signature') },
    { ...right(), 'x-paf-nonce': `${at('tampered signature')}!` },
    { ...right(), 'x-paf-timestamp': at('tampered signature') },
    { ...right(), authorization: `Bearer ${token}` },
  ])
    await anybody(headers).send('chat', path, init);
}

async function sockets(world: World): Promise<void> {
  const { anybody, canaries, openai } = world;
  const secret = canaries.keyAt('JWT secret');
  const refused = (headers: Record<string, string>, protocols: string[] = []) =>
    anybody(headers)
      .openSocket(protocols)
      .then(
        () => Promise.reject(new Error('it was let in')),
        () => {},
      );
  await refused({});
  await refused({}, ['bearer', canaries.at('token of a socket')]);
  await refused({ authorization: `Bearer ${canaries.at('garbled token')}` });
  const token = tokenOf(
    secret,
    { kid: canaries.at('token of a socket') },
    { sub: 'eve', exp: nowSeconds() + 600 },
  );
  canaries.note('token of a socket', token.split('.')[2] ?? '');
  await refused({ origin: 'https://evil.example', authorization: `Bearer ${token}` });
  const socket = await anybody({}).openSocket(['bearer', token]);
  openai.script({ text: 'Hello.' });
  socket.send({ type: 'query', prompt: 'Hi.' });
  await socket.until('complete');
  socket.close();
}

async function files(world: World): Promise<void> {
  const { ann, canaries, fileHost } = world;
  const { at } = canaries;
  const path = at('path of a signed address');
  const query = `X-Signature=${at('query of a signed address')}`;
  const links = [
    `${fileHost}/missing/${path}?${query}`,
    `${fileHost}/moved/${path}?${query}`,
    `${fileHost}/cut/${path}?${query}`,
    `http://127.0.0.1:9/${path}?${query}`,
    `http://${at('user of a signed address')}:${at('user of a signed address')}@127.0.0.1/${path}?${query}`,
    `https://${at('host of a signed address').toLowerCase()}.example/${path}?${query}`,
    `ftp://127.0.0.1/${path}?${query}`,
    `http://[${at('host of a signed address')}/`,
    at('path of a signed address'),
  ];
  const bad = [
    ...links.map((url) => ({ file_name: `${at('name of a broken file')}.txt`, signed_url: url })),
    ...[
      `%PDF-1.7 ${at('broken file')}`,
      `PK\u0003\u0004${at('broken file')}`,
      `\u0000\u0001${at('broken file')}`,
    ].map((content) => ({
      file_name: `${at('name of a broken file')}.pdf`,
      content_base64: Buffer.from(content, 'latin1').toString('base64'),
    })),
    { file_name: `${at('name of a broken file')}.txt`, content: at('broken file'), file_size: 1 },
    {
      file_name: `${at('name of a broken file')}.txt`,
      content: at('broken file'),
      line_start: 9,
      line_end: 10,
    },
    { file_name: `${at('name of a broken file')}.txt`, content_base64: `${at('broken file')}!` },
  ];
  for (const file of bad) {
    const body = jsonPost({ message: 'Read this.', files: [file] });
    await ann.send('chat', '/api/chat', body);
    await ann.send('streamChat', '/api/chat/stream', body);
  }
}

async function oddRequests(world: World): Promise<void> {
  const { ann, bob, openai, canaries } = world;
  const { at } = canaries;
  for (const path of [
    `/${at('unknown path')}`,
    `/api/${at('unknown path')}?q=${at('wrong query')}`,
    `/docs/${at('unknown path')}`,
  ])
    await ann.send('unmatched', path);
  await ann.send('unmatched', `/api/chat?q=${at('wrong query')}`, { method: 'PUT', body: at('broken JSON') });
  await ann.send('unmatched', `/api/runs/%${at('wrong query')}`);
  await ann.send('unmatched', '/docs');
  await ann.send('unmatched', '/api/chat', {
    method: 'OPTIONS',
    headers: { origin: `https://${at('wrong header')}.example` },
  });
  await ann.send('openWebSocket', `/api/ws?token=${at('token in a query')}`);
  await brokenRequests(world);

  // a reader who leaves, and a session that is busy
  const pause = hold(1);
  openai.script({ text: `It is ${at('answer that is cancelled')} now.`, hold: pause });
  const made = await ann.send('createSession', '/api/sessions', jsonPost({ title: at('title') }));
  const body = jsonPost({ message: at('message'), session_id: JSON.parse(made.text).id });
  const live = await ann.open('streamChat', '/api/chat/stream', body);
  await pause.reached;
  await ann.send('chat', '/api/chat', body);
  live.abort();
  await live.ended;
  // answered when it is over
  await ann.send('cancelRun', `/api/runs/${live.runId}/cancel`, { method: 'POST' });
  await bob.send('getRun', `/api/runs/${live.runId}`);
}

/** What no client would send, and an upload that is given up. */
async function brokenRequests(world: World): Promise<void> {
  const { at, keyAt } = world.canaries;
  const words = at('broken request line');
  const token = tokenOf(keyAt('JWT secret'), {}, { sub: 'ann', exp: nowSeconds() + 600 });
  const post = `POST /api/chat HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
  for (const text of [
    `${words}\r\n\r\n`,
    `GET /${words} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n${words}`,
    `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${words}${'x'.repeat(20_000)}\r\n\r\n`,
    `${post}Transfer-Encoding: chunked\r\n\r\n${words}\r\n`,
    `${post}Content-Length: 900\r\n\r\n{"message":"${at('aborted upload')}`,
  ])
    world.outputs.add('refusals', await sendRaw(world, text));
}

/** What is answered to these bytes. Whoever sends half of a request waits in vain, and leaves. */
async function sendRaw({ parts }: World, text: string): Promise<string> {
  const socket = connect(Number(new URL(parts.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(text);
  let answer = '';
  socket.setEncoding('utf8').on('data', (more) => {
    answer += more;
  });
  socket.setTimeout(300, () => socket.destroy());
  await once(socket, 'close');
  return answer;
}

/** A tenant that has nothing left, and a caller who asks too often. */
async function limits(world: World): Promise<void> {
  const { other, openai, canaries } = world;
  const poor = other('poor');
  const body = jsonPost({ message: 'Hi.' });
  openai.script({
    text: 'Hello.',
    usage: { prompt_tokens: 20_000_000, completion_tokens: 5, total_tokens: 20_000_005 },
  });
  await poor.send('chat', '/api/chat', body);
  await poor.send('chat', '/api/chat', jsonPost({ message: canaries.at('message of a failing run') }));
  const greedy = other('greedy');
  const wrong = jsonPost({ message: '' });
  for (let count = 0; count < 31; count += 1)
    await Promise.all(Array.from({ length: 10 }, () => greedy.send('streamChat', '/api/chat/stream', wrong)));
}

/** A token that ends in the middle of an answer. */
async function expiry(world: World): Promise<void> {
  const { openai, canaries } = world;
  const exp = nowSeconds() + 1;
  const token = tokenOf(
    canaries.keyAt('JWT secret'),
    {},
    { sub: 'late', email: canaries.at('expired token'), exp },
  );
  const late = createClient(world.parts, refusedSinks, () => ({ authorization: `Bearer ${token}` }));
  const pause = hold(1);
  openai.script({ text: 'Never the end.', hold: pause });
  const live = await late.open('streamChat', '/api/chat/stream', jsonPost({ message: 'Hi.' }));
  await live.ended;
}

/** How often one provider is asked in a run. */
const mostTries = 3;

/** Failures after which the same is tried again, in front of the first words and behind them, up to a provider that rests. */
async function repeatedFaults(world: World): Promise<void> {
  const { ann, endpoint, canaries } = world;
  const text = `It was ${canaries.at('answer that is cut off')} all along and`;
  const secret = canaries.keyAt('key of an endpoint');
  const error = {
    message: `${canaries.at('error inside an answer')} ${secret}`,
    type: 'server_error',
    code: secret,
  };
  const broken = `<b>${canaries.at('broken piece of an answer')} ${secret}</b>`;
  const ask = (operation: string, path: string) =>
    ann.send(operation, path, jsonPost({ ...failing(world), model: 'extra-canary' }));
  for (const reply of [
    { text, fault: { type: 'error', after: 3, body: { error } } },
    { text, fault: 'malformed:2' },
    { text, fault: 'cut:2' },
    { fault: { type: 'status', status: 504, body: { error } } },
    { fault: { type: 'status', status: 500, body: broken } },
    { fault: { type: 'status', status: 429, body: { error } } },
  ] satisfies ScriptedReply[]) {
    endpoint.script(...Array.from({ length: mostTries }, () => reply), { text: 'Well again.' });
    await ask('streamChat', '/api/chat/stream');
    // so that it gets no rest yet
    await ask('chat', '/api/chat');
  }
}

/** A worker that is asked for what it cannot do, by somebody who is not the service. */
async function workerCalls({ worker, canaries }: World): Promise<void> {
  const words = canaries.at('words to a worker');
  const metadata = new Metadata();
  for (const name of ['authorization', 'x-caller-tenant', 'x-caller-subject', 'tracestate', 'baggage'])
    metadata.set(name, words);
  for (const [taskType, payload] of [
    [words, { text: words }],
    ['text_search', { query: words }],
    ['text_search', { documents: words, query: words, [words]: words }],
    ['text_search', { documents: [{ name: words, text: words }], query: words }],
    ['code_metrics', { files: [{ path: words, content: `${words}(` }] }],
    ['data_analysis', { data: words, format: words }],
  ] as const)
    await collectCall(worker.client.executeTask(taskOf(taskType, payload), metadata));
}

export const faults: Record<string, Fault> = {
  'wrong tokens': tokens,
  'wrong signatures': signatures,
  'sockets that are refused': sockets,
  'the end of a token': expiry,
  'wrong fields': wrongFields,
  'files that cannot be had': files,
  'odd requests': oddRequests,
  'a worker that is asked directly': workerCalls,
  limits,
  'failing providers': providerFaults,
  'providers that fail again and again': repeatedFaults,
};
