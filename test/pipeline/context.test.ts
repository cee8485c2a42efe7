import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { type Message, textOf } from '../../src/core/message.ts';
import type { ToolDefinition } from '../../src/llm/provider.ts';
import { countMessagesTokens } from '../../src/llm/tokens.ts';
import type { ChatRequest } from '../../src/pipeline/chat-request.ts';
import { buildContext, type Context, frameOf } from '../../src/pipeline/context.ts';
import { chatRequest, textFile } from '../helpers/chat-request.ts';

type Reference = { encode(text: string, options: object): number[] };
const reference = createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base') as Reference;
const exactCount = (text: string) => reference.encode(text, { disallowedSpecial: new Set() }).length;

const clock: ToolDefinition = { name: 'clock', description: 'The time', parameters: { type: 'object' } };
const says = (text: string): Message => ({ role: 'assistant', content: [{ type: 'text', text }] });
const asks = (content: string): Message => ({ role: 'user', content });

type Shape = { window?: number; tools?: ToolDefinition[]; reserve?: number; images?: boolean };

function build(input: Partial<ChatRequest>, shape: Shape = {}): Context {
  const { window = 8192, tools = [], images = true } = shape;
  const frame = frameOf({
    request: chatRequest({ message: 'Sum it up.', ...input }),
    systemPrompt: 'You are careful.',
    tools,
    model: {
      id: 'm',
      provider: 'p',
      name: 'm',
      description: '',
      contextWindow: window,
      maxOutput: 4096,
      accepts: { images, tools: true, jsonSchema: true, temperature: true, reasoning: false },
    },
    outputReserve: shape.reserve ?? Math.floor(window / 4),
  });
  return buildContext(frame);
}

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const textsOf = ({ messages }: Context) => messages.map((message) => textOf(message.content));
const exactTokens = (context: Context) =>
  textsOf(context).reduce((total, text) => total + 4 + exactCount(text), 0);

/** Lines of signs that take about a token each. */
function denseLines(characters: number): string {
  let seed = 1;
  let text = '';
  while (text.length < characters) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    text += `${seed.toString(36)}漢${seed % 7 === 0 ? '\n' : ''}`;
  }
  return text;
}

test('a file whose tokens are all at its beginning is cut until it fits', () => {
  const context = build({ files: [textFile(denseLines(60_000) + ' '.repeat(200_000))] });
  expect(exactTokens(context)).toBeLessThanOrEqual(6144);
  expect(context.inputTokens).toBeLessThanOrEqual(6144);
});

test('input tokens are those of the messages and tools', () => {
  const history = ['one', 'two', 'three'].map(asks);
  const context = build({ files: [textFile('one\ntwo'), textFile('three')], history }, { tools: [clock] });
  expect(context.leftOut).toEqual([]);
  expect(context.inputTokens).toBe(countMessagesTokens(context.messages, [clock]));
});

test('a file that does not fit says which lines are missing', () => {
  const lines = Array.from({ length: 4000 }, (_, index) => `line ${index + 1}`);
  const context = build({ files: [textFile(lines.join('\n'))] }, { window: 2048 });
  expect(context.leftOut).toEqual([expect.stringMatching(/^a\.txt: lines \d+-\d+/)]);
  expect(context.inputTokens).toBeLessThanOrEqual(1536);
});

test('long names of files are counted', () => {
  const files = Array.from({ length: 20 }, (_, index) =>
    textFile('line of text\n'.repeat(300), `${index}${'漢字x'.repeat(50)}`),
  );
  const context = build({ files });
  expect(exactTokens(context)).toBeLessThanOrEqual(6144);
  expect(context.leftOut).toHaveLength(20);
});

test('files whose names do not fit are refused', () => {
  const files = Array.from({ length: 20 }, () => textFile('text', '漢字x'.repeat(300)));
  const fault = faultOf(() => build({ files }));
  expect(fault).toMatchObject({
    type: 'invalid_request',
    message: expect.stringMatching(
      /^The message with its files needs about \d+ tokens, but m has room for 6144\.$/,
    ),
  });
  expect(fault.problems).toEqual([{ path: 'files', message: 'do not fit the context window of m' }]);
});

test('a message that does not fit the window that the caller set names both', () => {
  const fault = faultOf(() =>
    build({ message: 'word '.repeat(7000), contextWindow: 4096 }, { reserve: 2048 }),
  );
  expect(fault.problems).toEqual([
    { path: 'message', message: 'does not fit the context window of m' },
    {
      path: 'context_window_size',
      message: expect.stringMatching(/^leaves room for 2048 tokens, and about 70\d\d are needed$/),
    },
  ]);
});

test('of the older turns those stay that the message is about, and the newest two in any case', () => {
  const turn = (topic: string) => [asks(`${topic}: ${'what about it '.repeat(20)}`), says(`About ${topic}.`)];
  const topics = ['weather', 'zeppelin', 'cooking', 'music', 'sport', 'trains', 'boats'];
  const context = build(
    { message: 'When did the zeppelin fly?', history: topics.flatMap(turn) },
    { window: 512, reserve: 256 },
  );
  const kept = textsOf(context).slice(1, -1);
  expect(kept.map((text) => /^(?:About )?(\w+)/.exec(text)?.[1])).toEqual([
    ...['zeppelin', 'zeppelin', 'trains', 'trains', 'boats', 'boats'],
  ]);
  expect(context.leftOut).toEqual(['8 older messages of the history']);
});

test('long tool results are cut before a turn is dropped', () => {
  const history: Message[] = [
    asks('Look it up.'),
    { role: 'assistant', content: [{ type: 'toolCall', id: 'c1', name: 'search', arguments: {} }] },
    {
      role: 'toolResult',
      toolCallId: 'c1',
      toolName: 'search',
      content: [{ type: 'text', text: `first ${'word '.repeat(8000)} last` }],
      isError: false,
    },
    says('Found.'),
    asks('Thanks.'),
    says('Welcome.'),
  ];
  const context = build({ history });
  expect(context.messages).toHaveLength(8);
  expect(textOf(context.messages[3]?.content ?? '')).toMatch(
    /^first (word )+\n\[… \d+ characters left out …\]\n.*(word )+ last$/,
  );
  expect(context.leftOut).toEqual(['the middle of 1 long tool result']);
  expect(build({ history }, { window: 65_536 }).leftOut).toEqual([]);
});

test('a newest turn that is too long loses its middle, and is not dropped for older ones', () => {
  const history = [asks('old'), says('older'), asks(`newest ${'word '.repeat(9000)}end`), says('short')];
  const context = build({ history }, { window: 1024 });
  expect(textsOf(context)[3]).toMatch(/^newest (word )+\n\[… \d+ characters left out …\]\n.*end$/);
  expect(textsOf(context)[4]).toBe('short');
});

test('instructions in the history stay before older turns do', () => {
  const long = Array.from({ length: 30 }, (_, index) => asks(`${index} ${'word '.repeat(60)}`));
  const context = build(
    { history: [{ role: 'system', content: 'Talk like a pirate.' }, ...long] },
    { window: 1024 },
  );
  expect(textsOf(context)[1]).toBe('Talk like a pirate.');
  expect(textsOf(context).at(-2)).toMatch(/^29 /);
});

test('a model that does not see gets a note in place of the images of the history', () => {
  const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' } as const;
  const history: Message[] = [
    { role: 'user', content: [{ type: 'text', text: 'See.' }, image] },
    says('Yes.'),
  ];
  expect(build({ history }).messages[1]).toEqual(history[0]);
  expect(build({ history }, { images: false }).messages[1]?.content).toEqual([
    { type: 'text', text: 'See.' },
    { type: 'text', text: '[an image, left out]' },
  ]);
});

const words = fc
  .array(fc.constantFrom('river', 'the', 'harbour', 'Über', '漢字', '😀', '{"a":1}', '\n', 'x'.repeat(40)), {
    maxLength: 400,
  })
  .map((parts) => parts.join(' '));
const long = fc.tuple(words, fc.integer({ min: 1, max: 60 })).map(([text, times]) => text.repeat(times));
const image = fc.constant({ type: 'image' as const, data: 'AAAA', mimeType: 'image/png' });
const userTurn = fc.oneof(
  fc.oneof(words, long).map((content): Message => ({ role: 'user', content })),
  fc.tuple(words, image).map(
    ([text, picture]): Message => ({
      role: 'user',
      content: [{ type: 'text', text }, picture],
    }),
  ),
);
const toolUse = fc
  .array(fc.tuple(fc.uuid(), fc.oneof(words, long)), { minLength: 1, maxLength: 3 })
  .map((calls): Message[] => [
    {
      role: 'assistant',
      content: calls.map(([id]) => ({ type: 'toolCall', id, name: 'clock', arguments: { id } })),
    },
    ...calls.map(
      ([id, text]): Message => ({
        role: 'toolResult',
        toolCallId: id,
        toolName: 'clock',
        content: [{ type: 'text', text }],
        isError: false,
      }),
    ),
  ]);
const turn = fc
  .tuple(userTurn, fc.array(toolUse, { maxLength: 2 }), words)
  .map(([user, uses, text]): Message[] => [user, ...uses.flat(), says(`Answer ${text}`)]);

test('whatever is given, all fits, the message is whole, calls keep their results, the newest turns stay', () => {
  fc.assert(
    fc.property(
      fc.record({
        message: words.map((text) => `Tell me about the harbour ${text.slice(0, 300)}`),
        turns: fc.array(turn, { maxLength: 12 }),
        files: fc.array(fc.oneof(words, long), { maxLength: 3 }),
        window: fc.integer({ min: 256, max: 200_000 }),
        share: fc.double({ min: 0.01, max: 0.25, noNaN: true }),
        hasTools: fc.boolean(),
      }),
      ({ message, turns, files, window, share, hasTools }) => {
        const reserve = Math.ceil(window * share);
        const tools = hasTools ? [clock] : [];
        let context: Context;
        try {
          context = build(
            {
              message,
              history: turns.flat(),
              files: files.map((text, index) => textFile(text, `${index}.txt`, message)),
            },
            { window, reserve, tools },
          );
        } catch (error) {
          // only what may not be cut can be too large
          expect(error).toMatchObject({ type: 'invalid_request' });
          expect(window).toBeLessThan(2048);
          return;
        }
        expect(countMessagesTokens(context.messages, tools)).toBeLessThanOrEqual(window - reserve);
        expect(textOf(context.messages.at(-1)?.content ?? '').startsWith(message)).toBe(true);
        const open: string[] = [];
        for (const { role, ...rest } of context.messages) {
          if (role === 'assistant' && 'content' in rest) {
            expect(open).toEqual([]);
            for (const block of rest.content as { type: string; id: string }[])
              if (block.type === 'toolCall') open.push(block.id);
          } else if (role === 'toolResult') {
            expect(open.shift()).toBe((rest as { toolCallId: string }).toolCallId);
          } else expect(open).toEqual([]);
        }
        const bare = build({ message, files: [] }, { window, reserve, tools }).inputTokens;
        const headers = files.length * 40;
        const newest = turns.slice(-2).flat();
        if (bare + headers + countMessagesTokens(newest, []) <= (window - reserve) * 0.9) {
          const kept = context.messages.slice(-1 - newest.length, -1);
          expect(kept.map(({ role }) => role)).toEqual(newest.map(({ role }) => role));
          expect(kept.at(-1)).toEqual(newest.at(-1));
        }
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);
