import { expect, test } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { Agent, type AgentTool } from '../../src/index.ts';
import { withoutImages } from '../../src/llm/without-images.ts';
import { useFakeModel } from '../helpers/agent.ts';

const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' } as const;
const notice = '(An image was left out: this model takes none.)';

test('messages without an image stay the same', () => {
  const messages: Message[] = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'Hi' },
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
  ];
  expect(withoutImages(messages)).toBe(messages);
});

test('a model that takes no images is told that a tool returned one', async () => {
  const way = await useFakeModel();
  way.fake.script({ toolCalls: [{ id: 'c1', name: 'look', arguments: '{}' }] }, { text: 'Blind.' });
  const look: AgentTool = {
    name: 'look',
    description: 'Takes a picture',
    parameters: { type: 'object' },
    execute: () => ({ content: [{ type: 'text', text: 'Here.' }, image] }),
  };
  const { model } = way.router;
  const blind = { ...model, accepts: { ...model.accepts, images: false } };
  const agent = new Agent({ initialState: { model: blind, tools: [look] }, streamFn: way.router.stream });
  await agent.prompt('Look', [image]);
  expect(agent.state.error).toBeUndefined();
  const [first, , third] = way.fake.requests[1]?.body.messages ?? [];
  expect(first).toEqual({ role: 'user', content: `Look${notice}` });
  expect(third).toEqual({ role: 'tool', tool_call_id: 'c1', content: `Here.${notice}` });
});
