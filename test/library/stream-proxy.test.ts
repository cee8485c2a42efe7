import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/reply.ts';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { Agent, type AgentEvent, type Model, streamProxy } from '../../src/index.ts';
import { outline } from '../helpers/agent.ts';
import { startChat } from '../helpers/chat.ts';
import { jsonPost } from '../helpers/service.ts';

async function startProxied(replies: ScriptedReply[], env: Record<string, string> = {}) {
  const { service, fake } = await startChat(replies, env);
  const model = service.services.catalog.find('fake-model') as Model;
  const agent = new Agent({
    initialState: { model, systemPrompt: 'Be kind.' },
    streamFn: (...[asked, context, options]) =>
      streamProxy(`${service.url}/api/agent`, asked, context, options, { 'x-request-id': 'proxied-1' }),
  });
  const events: AgentEvent[] = [];
  agent.subscribe((event) => events.push(event));
  return { service, fake, agent, events, model };
}

test('an agent that is elsewhere uses the models of the service and runs its own tools', async () => {
  const call = { id: 'c1', name: 'add', arguments: '{"a":1,"b":2}' };
  const { service, fake, agent, events } = await startProxied([
    { reasoning: 'Let me add.', toolCalls: [call] },
    { text: 'It is 3.' },
  ]);
  agent.setTools([
    {
      name: 'add',
      description: 'Adds',
      parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
      execute: (_id, { a, b }) => String(Number(a) + Number(b)),
    },
  ]);
  await agent.prompt('1 + 2?');
  expect(agent.state.error).toBeUndefined();
  expect(outline(events)).toEqual([
    'agent_start',
    'turn_start',
    'message_start user',
    'message_end user',
    'message_start assistant',
    'message_update assistant',
    'message_end assistant',
    'tool_execution_start c1',
    'tool_execution_end c1',
    'message_start toolResult',
    'message_end toolResult',
    'turn_end assistant',
    'turn_start',
    'message_start assistant',
    'message_update assistant',
    'message_end assistant',
    'turn_end assistant',
    'agent_end',
  ]);
  expect(agent.state.messages[1]).toMatchObject({
    content: [
      { type: 'thinking', thinking: 'Let me add.' },
      { type: 'toolCall', id: 'c1', name: 'add', arguments: { a: 1, b: 2 } },
    ],
    stopReason: 'toolUse',
  });
  const last = agent.state.messages.at(-1) as { usage: { output: number } };
  expect(last).toMatchObject({ content: [{ type: 'text', text: 'It is 3.' }], stopReason: 'stop' });
  expect(last.usage.output).toBeGreaterThan(0);
  expect(fake.requests[1]?.body.messages.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'tool',
  ]);
  expect(fake.requests[0]?.body.tools?.map((tool) => tool.function.name)).toEqual(['add']);
  const metrics = await service.services.metrics.registry.metrics();
  expect(metrics).toMatch(/paf_runs_total\{outcome="completed"\} 2/);
  expect(metrics).toMatch(/paf_llm_requests_total\{provider="openai",model="fake-model",outcome="ok"\} 2/);
});

test('an abort closes the call to the model within 250 ms', async () => {
  const pause = hold(1);
  const { agent, fake } = await startProxied([{ text: 'One two three.', hold: pause }]);
  const running = agent.prompt('Count');
  await pause.reached;
  const abortedAt = performance.now();
  agent.abort();
  await running;
  const { at } = await fake.waitForAbort();
  expect(at - abortedAt).toBeLessThan(250);
  expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'aborted' });
});

test('a full service refuses, and the agent says why', async () => {
  const pause = hold(1);
  const { service, agent, model } = await startProxied([{ text: 'One two three.', hold: pause }], {
    MAX_CONCURRENT_REQUESTS: '1',
  });
  const running = agent.prompt('Count');
  await pause.reached;
  const context = { messages: [{ role: 'user' as const, content: 'Hi', timestamp: 1 }] };
  const refused = await streamProxy(`${service.url}/api/agent`, model, context).result();
  expect(refused).toMatchObject({
    stopReason: 'error',
    errorMessage: 'All 1 places are taken; try again shortly.',
  });
  pause.release();
  await running;
});

test('a provider that fails midway ends in an error that keeps the text', async () => {
  const cut = { text: 'One two three.', fault: 'cut:2' };
  const { agent } = await startProxied([cut, cut, cut]);
  await agent.prompt('Count');
  expect(agent.state.messages.at(-1)).toMatchObject({
    stopReason: 'error',
    content: [{ type: 'text', text: 'One two' }],
  });
  expect(agent.state.error).toMatch(/broke off before it was complete\.$/);
});

test('an address where nobody answers is an error, not a throw', async () => {
  const { model } = await startProxied([]);
  const context = { messages: [{ role: 'user' as const, content: 'Hi', timestamp: 1 }] };
  const message = await streamProxy('http://127.0.0.1:9/api/agent', model, context).result();
  expect(message).toMatchObject({ stopReason: 'error', errorMessage: 'fetch failed' });
});

test('a body is read strictly', async () => {
  const { service } = await startProxied([]);
  const tools = [{ name: 'x y', description: '', parameters: { type: 'nonsense' } }];
  const context = { messages: [{ role: 'user', content: 'Hi' }], tools, more: 1 };
  const body = { model: { provider: 'openai', id: 'fake-model' }, context };
  const response = await fetch(`${service.url}/api/agent`, jsonPost(body));
  expect(response.status).toBe(400);
  const { errors } = (await response.json()) as { errors: { path: string }[] };
  expect(errors.map(({ path }) => path).toSorted()).toEqual([
    'context.more',
    'context.tools[0].name',
    'context.tools[0].parameters.type',
  ]);
});

test('every problem of a body is named', async () => {
  const { service } = await startProxied([]);
  const response = await fetch(
    `${service.url}/api/agent`,
    jsonPost({
      model: { provider: 'openai', id: 'nope' },
      context: {
        messages: [
          { role: 'user', content: [{ type: 'image', data: '!', mimeType: 'image/png' }] },
          { role: 'assistant', content: [] },
        ],
      },
    }),
  );
  expect(response.status).toBe(400);
  const { errors } = (await response.json()) as { errors: { path: string }[] };
  expect(errors.map(({ path }) => path)).toEqual([
    'context.messages[0].content[0].data',
    'context.messages',
    'model',
  ]);
});
