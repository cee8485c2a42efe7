import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { jsonPost } from '../helpers/service.ts';
import type { Canaries } from './canaries.ts';
import { modelName, type World } from './world.ts';

/** A PNG of one pixel with a text in it. */
function pictureOf(text: string): string {
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  return Buffer.concat([Buffer.from(pixel, 'base64'), Buffer.from(`tEXt${text}`)]).toString('base64');
}

/** A body with something private in every field that can hold a text. */
export function chatBody({ canaries: { at }, fileHost }: Pick<World, 'canaries' | 'fileHost'>) {
  return {
    message: `Please note: ${at('message')}.`,
    show_thinking: true,
    files: [
      {
        file_name: `${at('file name')}.txt`,
        content: `The plan is ${at('file content')}.`,
        metadata: { note: at('metadata of a file') },
      },
      {
        path: 'linked.txt',
        signed_url: `${fileHost}/${at('path of a signed address')}?X-Signature=${at('query of a signed address')}`,
      },
    ],
    images: [{ data: pictureOf(at('image')), mime_type: 'image/png' }],
    metadata: { note: at('metadata') },
  };
}

const withHistory = ({ at }: Canaries) => [
  { role: 'user', content: `Earlier: ${at('history')}` },
  { role: 'assistant', content: 'I see.' },
  { role: 'system', content: `Be kind. ${at('history')}` },
];

/** One call of every tool that misbehaves, and of those that do not. */
function toolCalls({ at }: Canaries): NonNullable<ScriptedReply['toolCalls']> {
  const text = JSON.stringify({ text: at('arguments of a tool') });
  const input = { text: at('input of a worker') };
  const search = {
    documents: [{ name: 'a', text: at('input of a worker') }],
    query: at('input of a worker'),
  };
  const calls: [name: string, args: string][] = [
    ['plain__tell', text],
    ['plain__fail', text],
    ['plain__refuse', text],
    ['remote__ask', text],
    ['worker__quote', JSON.stringify(input)],
    ['worker__fail', JSON.stringify(input)],
    ['worker__disagree', JSON.stringify(input)],
    ['worker__refuse', JSON.stringify(input)],
    ['worker__text_search', JSON.stringify(search)],
    // its schema refuses this one
    ['worker__text_search', JSON.stringify({ ...search, query: [at('input of a worker')] })],
    ['calculator', JSON.stringify({ expression: at('arguments of a tool') })],
    ['calculator', `{"expression": "${at('arguments of a tool')}`],
    ['search_files', JSON.stringify({ query: at('arguments of a tool') })],
    [at('name of an unknown tool'), text],
    ['plain__crash', text],
  ];
  return calls.map(([name, args], index) => ({ id: `call_${index}`, name, arguments: args }));
}

const answer = ({ at }: Canaries): ScriptedReply => ({
  reasoning: `I think: ${at('reasoning')}`,
  text: `The answer is ${at('answer')}.`,
});

async function newSession({ ann, canaries }: World): Promise<string> {
  const made = await ann.send('createSession', '/api/sessions', jsonPost({ title: canaries.at('title') }));
  return JSON.parse(made.text).id;
}

async function newRun({ ann, openai, canaries }: World): Promise<string> {
  openai.script(answer(canaries));
  const made = await ann.send('chat', '/api/chat', jsonPost({ message: canaries.at('message') }));
  return JSON.parse(made.text).run_id;
}

const get =
  (operation: string, path: string) =>
  async ({ ann, bob }: World) => {
    await ann.send(operation, path);
    await bob.send(operation, path);
  };

/** Models that help: one that plans, one that judges and one that keeps the memory. */
async function helped({ ann, openai, anthropic, canaries: { at } }: World): Promise<void> {
  const words = { message: at('message'), show_thinking: true };
  const hard =
    'Compare three harbours for a small boat step by step: first look at the depth, then at the price, after that at the ' +
    'weather, finally judge in detail which one is best for somebody who sails alone and tell me why you think so.';
  const steps = ['Depth', 'Price'].map((title) => ({
    title,
    instruction: `${title}: ${at('steps of a planner')}`,
  }));
  const marks = ['addresses_request', 'correctness', 'completeness', 'clarity'];
  const scores = Object.fromEntries(marks.map((mark) => [mark, 2]));
  anthropic.script(
    { text: JSON.stringify({ steps }) },
    { text: JSON.stringify({ scores, problems: [at('words of a judge')], passed: false }) },
  );
  openai.script({ text: `It is ${at('answer')}.` }, { text: `It is ${at('answer')}.` });
  const complex = { ...words, message: `${hard} ${at('message')}`, effort: 'determined' };
  await ann.send('chat', '/api/chat', jsonPost(complex));

  const history = Array.from({ length: 20 }, (_, index) => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: `${at('history')} ${'this and that about something else '.repeat(8)}`,
  }));
  openai.script({ text: `They spoke of ${at('summary of a conversation')}.` }, { text: 'Go on.' });
  const long = { ...words, history, memory_limit: 20, context_window_size: 1200, tools: [] };
  await ann.send('chat', '/api/chat', jsonPost(long));
}

/** Each route as it is meant, with somebody else who asks for the same. */
export const drives: Record<string, (world: World) => Promise<unknown>> = {
  async streamChat(world) {
    const { ann, bob, signer, openai, canaries } = world;
    openai.script({ ...answer(canaries), toolCalls: toolCalls(canaries) }, answer(canaries));
    const headers = { 'idempotency-key': canaries.at('Idempotency-Key') };
    const body = chatBody(world);
    await ann.send(
      'streamChat',
      '/api/chat/stream',
      jsonPost({ ...body, history: withHistory(canaries) }, headers),
    );
    // replayed, and refused for another body
    await ann.send(
      'streamChat',
      '/api/chat/stream',
      jsonPost({ ...body, history: withHistory(canaries) }, headers),
    );
    await ann.send('streamChat', '/api/chat/stream', jsonPost(body, headers));
    openai.script(answer(canaries));
    await signer.send('streamChat', '/api/chat/stream', jsonPost(body));
    // a key is its caller's
    openai.script(answer(canaries), { text: 'Hello.' });
    for (const client of [ann, bob])
      await client.send(
        'streamChat',
        '/api/chat/stream',
        jsonPost({ message: 'The same.' }, { 'idempotency-key': 'same' }),
      );
  },
  async chat(world) {
    const { ann, openai, anthropic, bedrock, endpoint, canaries } = world;
    const body = chatBody(world);
    const schema = { type: 'object', properties: { a: { description: canaries.at('schema') } } };
    openai.script({ text: `{"a": "${canaries.at('answer')}"}` });
    const format = { type: 'json_schema', schema };
    await ann.send('chat', '/api/chat', jsonPost({ ...body, response_format: format }));
    for (const [fake, model] of [
      [anthropic, 'claude-canary'],
      [bedrock, 'bedrock-canary'],
    ] as const) {
      const [call] = toolCalls(canaries);
      fake.script({ ...answer(canaries), toolCalls: call ? [call] : [] }, answer(canaries));
      await ann.send('chat', '/api/chat', jsonPost({ ...body, model }));
    }
    await helped(world);
    endpoint.script(answer(canaries));
    await ann.send('chat', '/api/chat', jsonPost({ ...body, model: 'extra-canary' }));
  },
  async streamModel({ ann, openai, canaries }) {
    const { at } = canaries;
    const context = {
      systemPrompt: `Be brief. ${at('system prompt')}`,
      messages: [
        { role: 'user', content: [{ type: 'text', text: at('message') }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: at('thinking'), signature: at('thinking') },
            { type: 'toolCall', id: 'c1', name: 'look', arguments: { text: at('arguments of a tool') } },
          ],
        },
        {
          role: 'toolResult',
          toolCallId: 'c1',
          toolName: 'look',
          content: [{ type: 'text', text: at('result of a tool') }],
          isError: false,
        },
      ],
      tools: [{ name: 'look', description: at('description of a tool'), parameters: { type: 'object' } }],
    };
    openai.script({ ...answer(canaries), toolCalls: [{ id: 'c2', name: 'look', arguments: '{}' }] });
    const model = { provider: 'openai', id: modelName(canaries) };
    await ann.send('streamModel', '/api/agent', jsonPost({ model, context }));
  },
  async resumeRun(world) {
    const id = await newRun(world);
    for (const client of [world.ann, world.bob]) await client.send('resumeRun', `/api/runs/${id}/events`);
  },
  async getRun(world) {
    const { ann, bob, openai, canaries } = world;
    openai.script(answer(canaries));
    const made = await ann.send('chat', '/api/chat', jsonPost(chatBody(world)));
    const path = `/api/runs/${JSON.parse(made.text).run_id}`;
    for (const client of [ann, bob]) await client.send('getRun', path);
  },
  async cancelRun(world) {
    const { ann, bob, openai, canaries } = world;
    const pause = hold(1);
    openai.script({ text: `It is ${canaries.at('answer that is cancelled')} now.`, hold: pause });
    const live = await ann.open('streamChat', '/api/chat/stream', jsonPost(chatBody(world)));
    await pause.reached;
    for (const client of [bob, ann])
      await client.send('cancelRun', `/api/runs/${live.runId}/cancel`, { method: 'POST' });
    await live.ended;
  },
  async createSession(world) {
    await newSession(world);
    await world.bob.send('createSession', '/api/sessions', { method: 'POST' });
  },
  async listSessions({ ann, bob, canaries }) {
    for (const client of [ann, bob])
      await client.send('listSessions', `/api/sessions?limit=5&key=${canaries.at('token in a query')}`);
  },
  async getSession(world) {
    const { ann, bob, openai, canaries } = world;
    const id = await newSession(world);
    openai.script({ toolCalls: toolCalls(canaries).slice(0, 1) }, answer(canaries));
    await ann.send('chat', '/api/chat', jsonPost({ ...chatBody(world), session_id: id }));
    for (const client of [ann, bob]) await client.send('getSession', `/api/sessions/${id}`);
    await bob.send('chat', '/api/chat', jsonPost({ message: 'Hi.', session_id: id }));
  },
  async renameSession(world) {
    const init = { ...jsonPost({ title: world.canaries.at('title') }), method: 'PATCH' };
    const id = await newSession(world);
    for (const client of [world.bob, world.ann])
      await client.send('renameSession', `/api/sessions/${id}`, init);
  },
  async forkSession(world) {
    const id = await newSession(world);
    for (const client of [world.bob, world.ann])
      await client.send('forkSession', `/api/sessions/${id}/fork`, { method: 'POST' });
  },
  async deleteSession(world) {
    const id = await newSession(world);
    for (const client of [world.bob, world.ann])
      await client.send('deleteSession', `/api/sessions/${id}`, { method: 'DELETE' });
  },
  async openWebSocket(world) {
    const { ann, bob, openai, canaries } = world;
    const socket = await ann.openSocket();
    const pause = hold(1);
    const [call] = toolCalls(canaries);
    openai.script({ ...answer(canaries), toolCalls: call ? [call] : [], hold: pause }, answer(canaries));
    const { message: _, ...fields } = chatBody(world);
    socket.send({ type: 'query', prompt: `Hear: ${canaries.at('message of a socket')}`, ...fields });
    await pause.reached;
    const { runId, sessionId } = (await socket.until('chunk', 'reasoning', 'thinking')) as Record<
      string,
      string
    >;
    socket.send({ type: 'steer', runId, content: canaries.at('steering') });
    // answered in turn, so that the words before it were heard
    socket.send(`{"type": "${canaries.at('broken frame')}`);
    await socket.until('error');
    pause.release();
    await socket.until('complete');
    const stranger = await bob.openSocket();
    for (const client of [stranger, socket]) {
      client.send({ type: 'resume', runId, after: 0 });
      await client.until('complete', 'error');
      client.send({ type: 'clear', sessionId });
      await client.until('cleared', 'error');
    }
    for (const frame of [
      { type: canaries.at('wrong value') },
      { type: 'query', prompt: { a: canaries.at('wrong value') } },
      { type: 'query', prompt: 'Hi.', [canaries.at('unknown field')]: canaries.at('wrong value') },
      { type: 'query', prompt: 'Hi.', model: canaries.at('unknown model') },
      { type: 'cancel', runId: canaries.at('unknown id') },
      { type: 'steer', runId: canaries.at('unknown id'), content: canaries.at('steering') },
    ]) {
      socket.send(frame);
      await socket.until('error');
    }
    socket.close();
    stranger.close();
  },
  listModels: get('listModels', '/api/chat/models'),
  listProviders: get('listProviders', '/api/chat/providers'),
  getStatus: get('getStatus', '/api/chat/status'),
  listMcpServers: get('listMcpServers', '/api/mcp/servers'),
  listWorkers: get('listWorkers', '/api/workers'),
  getHealth: get('getHealth', '/api/health'),
  getLiveness: get('getLiveness', '/api/health/live'),
  getReadiness: get('getReadiness', '/api/health/ready'),
  getOpenApi: get('getOpenApi', '/openapi.json'),
  getMetrics: ({ operator }) => operator.send('getMetrics', '/metrics'),
};
