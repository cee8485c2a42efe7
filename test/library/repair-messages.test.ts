import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AssistantMessage, LlmMessage, ToolResultMessage } from '../../src/index.ts';
import { noTokens } from '../../src/library/messages.ts';
import { repairMessages } from '../../src/library/repair-messages.ts';
import { providerProblems } from '../helpers/strict-providers.ts';

const user = (content: string): LlmMessage => ({ role: 'user', content, timestamp: 1 });
const assistant = (
  content: AssistantMessage['content'],
  stopReason: AssistantMessage['stopReason'] = 'stop',
): LlmMessage => ({
  role: 'assistant',
  content,
  provider: 'p',
  model: 'm',
  usage: noTokens,
  stopReason,
  timestamp: 1,
});
const text = (words: string) => ({ type: 'text', text: words }) as const;
const call = (id: string) => ({ type: 'toolCall', id, name: 'echo', arguments: {} }) as const;
const result = (toolCallId: string, words = 'done'): ToolResultMessage => ({
  role: 'toolResult',
  toolCallId,
  toolName: 'echo',
  content: [text(words)],
  isError: false,
  timestamp: 1,
});

test('a sound conversation stays as it is', () => {
  const messages = [
    user('Go'),
    assistant([text('I look.'), call('a')], 'toolUse'),
    result('a'),
    assistant([text('Done.')]),
  ];
  expect(repairMessages(messages)).toEqual(messages);
});

test('of an answer that broke off only the text stays, and of one without text nothing', () => {
  const thinking = { type: 'thinking', thinking: 'Hm' } as const;
  const repaired = repairMessages([
    user('One'),
    assistant([thinking, text('Half'), call('a')], 'aborted'),
    user('Two'),
    assistant([thinking, call('b')], 'error'),
    assistant([]),
  ]);
  expect(repaired.map(({ role, content }) => [role, content])).toEqual([
    ['user', 'One'],
    ['assistant', [text('Half')]],
    ['user', 'Two'],
  ]);
});

test('every call has one result right after it, and no result is without a call', () => {
  const repaired = repairMessages([
    result('x'),
    assistant([call('a'), call('b')], 'toolUse'),
    result('b', 'first'),
    result('b', 'second'),
    result('y'),
    user('And?'),
    result('a', 'late'),
  ]);
  expect(repaired.slice(1)).toEqual([
    { ...result('a', 'No result was given.'), isError: true, timestamp: expect.any(Number) },
    result('b', 'second'),
    user('And?'),
  ]);
});

test('calls that were given one id, or a strange one, get ids of their own, the same each time', () => {
  const messages = [
    user('Go'),
    assistant([call('functions.echo:0'), call('a'), call('a')], 'toolUse'),
    result('functions.echo:0', 'zero'),
    result('a', 'one'),
    result('a', 'two'),
    assistant([call('a'), call('x'.repeat(41))], 'toolUse'),
    result('a', 'three'),
  ];
  const repaired = repairMessages(messages);
  const ids = repaired.flatMap((message): unknown[] => {
    if (message.role === 'toolResult') return [[message.toolCallId, ...message.content]];
    return message.role === 'assistant' ? message.content : [];
  });
  expect(ids).toEqual([
    call('functions_echo_0_1'),
    call('a'),
    call('a_2'),
    ['functions_echo_0_1', text('zero')],
    ['a', text('one')],
    ['a_2', text('two')],
    call('a_3'),
    call(`${'x'.repeat(30)}_1`),
    ['a_3', text('three')],
    [`${'x'.repeat(30)}_1`, text('No result was given.')],
  ]);
  expect(repairMessages([...messages, user('And?')]).slice(0, repaired.length)).toEqual(
    repaired.map((message) => ({ ...message, timestamp: expect.any(Number) })),
  );
});

test('strict providers take whatever comes out', () => {
  const ids = fc.constantFrom('a', 'b', 'a_2', 'functions.echo:0', 'y'.repeat(64));
  const reasons = fc.constantFrom<AssistantMessage['stopReason']>('stop', 'toolUse', 'aborted', 'error');
  const thinking = { type: 'thinking', thinking: 'Hm' } as const;
  const block = fc.oneof(fc.constantFrom(text('t'), text(' '), thinking), ids.map(call));
  const message = fc.oneof(
    fc.constantFrom(user('u'), user(' ')),
    ids.map((id) => result(id)),
    fc
      .tuple(fc.array(block, { maxLength: 4 }), reasons)
      .map(([content, reason]) => assistant(content, reason)),
  );
  const tools = [{ name: 'echo', description: 'Echoes', parameters: { type: 'object' } }];
  fc.assert(
    fc.property(fc.array(message), (messages) => {
      const conversation = repairMessages([user('First'), ...messages, user('Last')]);
      expect(providerProblems(conversation, tools)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
