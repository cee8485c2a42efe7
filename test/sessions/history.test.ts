import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Message, ToolCall, ToolResultMessage } from '../../src/core/message.ts';
import { historyOf, repairHistory } from '../../src/sessions/history.ts';
import type { SessionEntry } from '../../src/sessions/session-store.ts';
import { providerProblems } from '../helpers/strict-providers.ts';

const user = (content: string): Message => ({ role: 'user', content });
const call = (id: string): ToolCall => ({ type: 'toolCall', id, name: 'add', arguments: {} });
const assistant = (text: string, ...calls: ToolCall[]): Message => ({
  role: 'assistant',
  content: [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...calls],
});
const result = (toolCallId: string, text = 'ok'): ToolResultMessage => ({
  role: 'toolResult',
  toolCallId,
  toolName: 'add',
  content: [{ type: 'text', text }],
  isError: false,
});

/** Messages with the ids of calls in the order in which they come first: 1, 2, 3 … */
function numbered(messages: Message[]) {
  const ids: string[] = [];
  const numberOf = (id: string) => {
    expect(id).toMatch(/^[a-z0-9]{9}$/);
    if (!ids.includes(id)) ids.push(id);
    return `${ids.indexOf(id) + 1}`;
  };
  return messages.map((message) => {
    if (message.role === 'toolResult') return { ...message, toolCallId: numberOf(message.toolCallId) };
    if (message.role !== 'assistant') return message;
    const content = message.content.map((block) =>
      block.type === 'toolCall' ? { ...block, id: numberOf(block.id) } : block,
    );
    return { ...message, content };
  });
}

const repaired = (...messages: Message[]) => numbered(repairHistory(messages));
const unfinished = {
  ...result('1', 'Not finished: the run was interrupted before this tool had a result.'),
  isError: true,
};

describe('repairing', () => {
  test('leaves a sound conversation as it is, but for the ids of calls', () => {
    const sound = [
      user('Hi'),
      assistant('Hm.', call('1'), call('2')),
      result('1'),
      result('2', 'b'),
      assistant('Yes.'),
    ];
    expect(repaired(...sound)).toEqual(sound);
  });

  test('answers calls that have no result', () => {
    expect(repaired(user('Hi'), assistant('', call('x')))).toEqual([
      user('Hi'),
      assistant('', call('1')),
      unfinished,
    ]);
    expect(repaired(user('Hi'), assistant('', call('x'), call('y')), result('y'), user('So?'))).toEqual([
      user('Hi'),
      assistant('', call('1'), call('2')),
      unfinished,
      result('2'),
      user('So?'),
    ]);
  });

  test('drops results that answer no call, come too late, or come twice', () => {
    expect(repaired(user('Hi'), result('x'), assistant('Yes.'))).toEqual([user('Hi'), assistant('Yes.')]);
    expect(repaired(user('Hi'), assistant('', call('x')), result('x'), result('x', 'again'))).toEqual([
      user('Hi'),
      assistant('', call('1')),
      result('1'),
    ]);
    expect(repaired(user('Hi'), assistant('', call('x')), assistant('Yes.'), result('x'))).toEqual([
      user('Hi'),
      assistant('', call('1')),
      unfinished,
      assistant('Yes.'),
    ]);
  });

  test('puts results right after their calls, in their order', () => {
    expect(
      repaired(user('Hi'), assistant('', call('x'), call('y')), user('Wait'), result('y'), result('x', 'a')),
    ).toEqual([user('Hi'), assistant('', call('1'), call('2')), result('1', 'a'), result('2'), user('Wait')]);
  });

  test('gives calls with one id ids of their own', () => {
    const messages = [user('Hi'), assistant('', call('x'), call('x')), result('x', 'a'), result('x', 'b')];
    expect(repaired(...messages, assistant('', call('x')), result('x', 'c'))).toEqual([
      user('Hi'),
      assistant('', call('1'), call('2')),
      result('1', 'a'),
      result('2', 'b'),
      assistant('', call('3')),
      result('3', 'c'),
    ]);
    const first = repairHistory(messages);
    expect(repairHistory([...messages, user('More')]).slice(0, 4)).toEqual(first);
  });

  test('drops what is empty, joins neighbours and lets the user begin', () => {
    expect(
      repaired(assistant('Welcome.'), user(' '), user('a'), user('b'), assistant(''), user('c')),
    ).toEqual([user('(The conversation starts.)'), assistant('Welcome.'), user('a\n\nb\n\nc')]);
    expect(repaired(user('a'), assistant('b'), assistant('c', call('x')), result('x', ' '))).toEqual([
      user('a'),
      { role: 'assistant', content: [{ type: 'text', text: 'b' }, { type: 'text', text: 'c' }, call('1')] },
      result('1', '(no output)'),
    ]);
  });

  const text = fc.constantFrom('', ' ', 'a', 'b\n');
  const id = fc.constantFrom('', 'x', 'y', 'ü.1', 'z'.repeat(80));
  const block = fc.oneof(
    text.map((value) => ({ type: 'text' as const, text: value })),
    text.map((thinking) => ({ type: 'thinking' as const, thinking })),
    id.map(call),
  );
  const image = { type: 'image' as const, data: 'AAAA', mimeType: 'image/png' };
  const anyMessage: fc.Arbitrary<Message> = fc.oneof(
    text.map(user),
    fc
      .array(
        fc.oneof(
          fc.constant(image),
          text.map((value) => ({ type: 'text' as const, text: value })),
        ),
        { maxLength: 2 },
      )
      .map((content) => ({ role: 'user' as const, content })),
    text.map((content) => ({ role: 'system' as const, content })),
    fc.array(block, { maxLength: 4 }).map((content) => ({ role: 'assistant' as const, content })),
    fc
      .tuple(id, text, fc.boolean())
      .map(([toolCallId, value, isError]) => ({ ...result(toolCallId, value), isError })),
  );

  test('makes of anything what strict providers take, and of that the same again', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 14 }), (messages) => {
        const before = structuredClone(messages);
        const history = repairHistory(messages);
        expect(messages).toEqual(before);
        expect(providerProblems([...history, user('Next.')])).toEqual([]);
        expect(numbered(repairHistory(history))).toEqual(numbered(history));
      }),
      { numRuns: 2_000 },
    );
  });

  test('takes time in proportion to the length', () => {
    const turns = Array.from({ length: 20_000 }, (_, n) => [
      user('a'),
      assistant('b', call(`${n}`)),
      result(`${n}`),
    ]);
    const startedMs = performance.now();
    expect(repairHistory(turns.flat())).toHaveLength(60_000);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

describe('what a session tells the next call', () => {
  let count = 0;
  const entry = (message: Message | { role: string }, isInterrupted?: true): SessionEntry => ({
    type: 'message',
    id: `m${++count}`,
    at: count,
    message,
    ...(isInterrupted ? { isInterrupted } : {}),
  });
  const told = (...entries: SessionEntry[]) => historyOf(entries).map(({ message }) => message);

  test('starts after the last clear', () => {
    const clear: SessionEntry = { type: 'clear', id: 'c', at: 1 };
    expect(told(entry(user('old')), clear, entry(user('new')))).toEqual([user('new')]);
    expect(told(entry(user('old')), clear)).toEqual([]);
  });

  test('has the newest summary in place of what it stands for', () => {
    const [one, two, three] = [entry(user('one')), entry(assistant('two')), entry(user('three'))];
    const summary = (text: string, through: string): SessionEntry => ({
      type: 'compaction',
      id: `s${text}`,
      at: 1,
      summary: text,
      through,
    });
    const items = historyOf([one, two, summary('first', one.id), three, summary('short', two.id)]);
    expect(items).toEqual([
      { message: user('short'), through: two.id },
      { message: user('three'), through: three.id },
    ]);
    expect(told(one, two, summary('short', one.id))).toEqual([user('short'), assistant('two')]);
    expect(told(one, two, summary('lost', 'gone'))).toEqual([user('one'), assistant('two')]);
  });

  test('says where an answer was interrupted', () => {
    expect(
      told(entry(user('a')), entry(assistant('half'), true), entry(user('b')), entry(assistant(''), true)),
    ).toEqual([
      user('a'),
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'half' },
          { type: 'text', text: '\n\n[The answer was interrupted here.]' },
        ],
      },
      user('b'),
      assistant('[The answer was interrupted here.]'),
    ]);
  });

  test('leaves out what no model understands, or what was damaged', () => {
    const damaged = [
      { role: 'weather' },
      { role: 'user', content: 5 },
      { role: 'assistant', content: 'text' },
      { role: 'assistant', content: [{ type: 'toolCall', id: 'x', name: 'add', arguments: null }] },
      { role: 'toolResult', content: [] },
      { role: 'user', content: [null] },
    ];
    expect(
      told(entry(user('a')), ...damaged.map((message) => entry(message)), entry(assistant('b'))),
    ).toEqual([user('a'), assistant('b')]);
  });
});
