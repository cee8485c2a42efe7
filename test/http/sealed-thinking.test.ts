import { expect, test } from 'vitest';
import { signature } from '../../scripts/fake-llm/anthropic-request.ts';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { Agent, type AgentTool, type Model, streamProxy } from '../../src/index.ts';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { startService, streamChat } from '../helpers/service.ts';

const call = { id: 'c1', name: 'calculator', arguments: '{"expression":"1+2"}' };
const replies: ScriptedReply[] = [
  { reasoning: 'I must add.', text: 'Let me add.', toolCalls: [call] },
  { reasoning: 'Three it is.', text: 'It is 3.' },
];
const thought = { type: 'thinking', thinking: 'I must add.', signature };

async function start() {
  const fake = await useFakeAnthropic({ requireScript: true });
  fake.script(...replies);
  const service = await startService({ ANTHROPIC_API_KEY: 'sk-ant-test', ANTHROPIC_BASE_URL: rootOf(fake) });
  return { fake, service };
}

test.each([
  ['claude-sonnet-5', 'adaptive'],
  ['claude-haiku-4-5', 'enabled'],
])('%s gets its thinking back while it uses tools, and goes on thinking', async (model, type) => {
  const { fake, service } = await start();
  const { ended } = await streamChat(service, {
    message: '1+2?',
    model,
    effort: 'standard',
    show_thinking: true,
  });
  const events = await ended;
  expect(events.filter(({ event }) => event === 'reasoning').every(({ data }) => data.content !== '')).toBe(
    true,
  );
  const [first, second] = fake.requests.map(({ body }) => body);
  expect([first?.thinking?.type, second?.thinking?.type]).toEqual([type, type]);
  expect(second?.messages[1]?.content).toEqual([
    thought,
    { type: 'text', text: 'Let me add.' },
    { type: 'tool_use', id: 'c1', name: 'calculator', input: { expression: '1+2' } },
  ]);
});

test('an agent that is elsewhere gets the seals and sends them back', async () => {
  const { fake, service } = await start();
  fake.script({ text: 'Bye.' });
  const model = service.services.catalog.find('claude-sonnet-5') as Model;
  const calculator: AgentTool = {
    name: 'calculator',
    description: 'Adds',
    parameters: { type: 'object' },
    execute: () => '3',
  };
  const agent = new Agent({
    initialState: { model, thinkingLevel: 'medium', tools: [calculator] },
    streamFn: (...given) => streamProxy(`${service.url}/api/agent`, ...given),
  });
  await agent.prompt('1+2?');
  expect(agent.state.error).toBeUndefined();
  const sealedBy = 'anthropic/claude-sonnet-5';
  expect(agent.state.messages[1]).toMatchObject({ content: [{ ...thought, sealedBy }, {}, {}] });
  expect(fake.requests[1]?.body.messages[1]?.content[0]).toEqual(thought);
  await agent.prompt('Thanks');
  const types = fake.requests[2]?.body.messages.flatMap(({ content }) =>
    typeof content === 'string' ? [] : content.map((block) => block.type),
  );
  expect(types).not.toContain('thinking');
});
