import { describe, expect, test } from 'vitest';
import type { LlmEvent } from '../../src/core/events.ts';
import { createToolCallAssembler, type ToolCallFragment } from '../../src/llm/tool-call-assembler.ts';

function assemble(...fragments: ToolCallFragment[]): LlmEvent[] {
  let number = 0;
  const assembler = createToolCallAssembler(() => {
    number += 1;
    return `new_${number}`;
  });
  const events: LlmEvent[] = [];
  for (const fragment of fragments) assembler.push(fragment, events);
  assembler.finish(events);
  return events;
}

/** `id name arguments` of each finished call */
function callsOf(...fragments: ToolCallFragment[]): string[] {
  return assemble(...fragments).flatMap((event) =>
    event.type === 'tool-call-end' ? [`${event.id} ${event.name} ${event.argumentsText}`] : [],
  );
}

function named(name: string, text = '', rest: Omit<ToolCallFragment, 'function'> = {}): ToolCallFragment {
  return { ...rest, function: { name, arguments: text } };
}

function more(text: string, rest: Omit<ToolCallFragment, 'function'> = {}): ToolCallFragment {
  return { ...rest, function: { arguments: text } };
}

describe('a tool call', () => {
  test('is told as it arrives', () => {
    expect(
      assemble(
        named('clock', '', { index: 0, id: 'a' }),
        more('{"x"', { index: 0 }),
        more(':1}', { index: 0 }),
      ),
    ).toEqual([
      { type: 'tool-call-start', id: 'a', name: 'clock' },
      { type: 'tool-call-delta', id: 'a', text: '{"x"' },
      { type: 'tool-call-delta', id: 'a', text: ':1}' },
      { type: 'tool-call-end', id: 'a', name: 'clock', argumentsText: '{"x":1}' },
    ]);
  });

  test('is told only once its name is known, and then all of it', () => {
    expect(assemble(more('{"x":', { index: 0 }), named('clock', '1}', { index: 0, id: 'a' }))).toEqual([
      { type: 'tool-call-start', id: 'a', name: 'clock' },
      { type: 'tool-call-delta', id: 'a', text: '{"x":1}' },
      { type: 'tool-call-end', id: 'a', name: 'clock', argumentsText: '{"x":1}' },
    ]);
  });

  test('keeps the id it was told under when another comes later', () => {
    expect(callsOf(named('clock', '{', { index: 0 }), more('}', { index: 0, id: 'late' }))).toEqual([
      'new_1 clock {}',
    ]);
  });

  test('without arguments has an empty object', () => {
    expect(callsOf(named('clock', '', { index: 0, id: 'a' }))).toEqual(['a clock {}']);
    expect(callsOf({ index: 0, id: 'a', function: { name: 'clock', arguments: null } })).toEqual([
      'a clock {}',
    ]);
  });

  test('may have its arguments as an object', () => {
    expect(callsOf({ id: 'a', function: { name: 'clock', arguments: { x: 1 } } })).toEqual([
      'a clock {"x":1}',
    ]);
  });

  test('that never gets a name is dropped', () => {
    expect(assemble(more('{}', { index: 0, id: 'a' }), { index: 1 }, {})).toEqual([]);
  });

  test('repeating its id and name in every fragment stays one', () => {
    const again = { index: 0, id: 'a' };
    expect(callsOf(named('clock', '{"x', again), named('clock', '":1}', again))).toEqual(['a clock {"x":1}']);
    expect(callsOf(named('clock', '{"x'), named('clock', '":1}'))).toEqual(['new_1 clock {"x":1}']);
  });

  test('whose id changes in every fragment stays one', () => {
    expect(
      callsOf(named('clock', '{"x', { index: 0, id: 'a' }), more('":1}', { index: 0, id: 'b' })),
    ).toEqual(['a clock {"x":1}']);
  });
});

describe('several tool calls', () => {
  test.each<[string, ToolCallFragment[]]>([
    [
      'numbered',
      [
        named('f', '', { index: 0, id: 'a' }),
        more('{"x":1}', { index: 0 }),
        named('g', '', { index: 1, id: 'b' }),
        more('{"y":2}', { index: 1 }),
      ],
    ],
    [
      'interleaved',
      [
        named('f', '', { index: 0, id: 'a' }),
        named('g', '{"y"', { index: 1, id: 'b' }),
        more('{"x":1}', { index: 0 }),
        more(':2}', { index: 1 }),
      ],
    ],
    [
      'with one index for all',
      [
        named('f', '', { index: 0, id: 'a' }),
        more('{"x":1}', { index: 0 }),
        named('g', '', { index: 0, id: 'b' }),
        more('{"y":2}', { index: 0 }),
      ],
    ],
    [
      'without index',
      [named('f', '', { id: 'a' }), more('{"x":1}'), named('g', '', { id: 'b' }), more('{"y":2}')],
    ],
    [
      'by id only, interleaved',
      [
        named('f', '', { id: 'a' }),
        named('g', '', { id: 'b' }),
        more('{"x":1}', { id: 'a' }),
        more('{"y":2}', { id: 'b' }),
      ],
    ],
    [
      'with an index that fragments get wrong',
      [
        named('f', '', { index: 0, id: 'a' }),
        more('{"x"', { index: 7 }),
        more(':1}', { index: 7 }),
        named('g', '', { index: 1, id: 'b' }),
        more('{"y":2}', { index: 9 }),
      ],
    ],
    [
      'with the arguments first',
      [
        more('{"x":1}', { index: 0 }),
        named('f', '', { index: 0, id: 'a' }),
        more('{"y":2}', { index: 1 }),
        named('g', '', { index: 1, id: 'b' }),
      ],
    ],
    [
      'whole, in one fragment each',
      [named('f', '{"x":1}', { index: 0, id: 'a' }), named('g', '{"y":2}', { index: 0, id: 'b' })],
    ],
  ])('%s keep apart', (_name, fragments) => {
    expect(callsOf(...fragments)).toEqual(['a f {"x":1}', 'b g {"y":2}']);
  });

  test('without ids get ids of their own', () => {
    expect(callsOf(named('f', '{"x":1}', { index: 0 }), named('f', '{"x":2}', { index: 1 }))).toEqual([
      'new_1 f {"x":1}',
      'new_2 f {"x":2}',
    ]);
    expect(callsOf(named('f', '{"x":1}'), named('f', '{"x":2}'), named('g'))).toEqual([
      'new_1 f {"x":1}',
      'new_2 f {"x":2}',
      'new_3 g {}',
    ]);
    expect(callsOf({ id: '', index: null, function: { name: 'f', arguments: '{}' } })).toEqual([
      'new_1 f {}',
    ]);
  });

  test('with one id for all keep apart by index', () => {
    const fragments = [
      named('f', '{"x":1}', { index: 0, id: 'a' }),
      named('g', '{"y":2}', { index: 1, id: 'a' }),
    ];
    expect(callsOf(...fragments)).toEqual(['a f {"x":1}', 'new_1 g {"y":2}']);
  });

  test('made-up ids differ from one answer to the next', () => {
    const ids = [1, 2].map(() => {
      const events: LlmEvent[] = [];
      createToolCallAssembler().push(named('f'), events);
      return events[0]?.type === 'tool-call-start' ? events[0].id : '';
    });
    expect(ids[0]).toMatch(/^call_[0-9a-f]{24}$/);
    expect(ids[0]).not.toBe(ids[1]);
  });
});
