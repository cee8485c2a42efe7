import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LlmEvent } from '../../src/core/events.ts';
import type { Message } from '../../src/core/message.ts';
import { createDemoProvider, demoModel } from '../../src/llm/demo.ts';
import type { LlmRequest, ToolDefinition } from '../../src/llm/provider.ts';
import { checkConstraint } from '../../src/pipeline/constraints/check.ts';

type Constraint = { id: string; kwargs: Record<string, unknown> };

/** One token a word; blanks are free. */
const countTokens = (text: string) => text.match(/\S+/g)?.length ?? 0;

const tools: ToolDefinition[] = ['calculator', 'current_time'].map((name) => ({
  name,
  description: name,
  parameters: { type: 'object' },
}));

function requestFor(messages: string | Message[], changes: Partial<LlmRequest> = {}): LlmRequest {
  return {
    model: demoModel,
    messages: typeof messages === 'string' ? [{ role: 'user', content: messages }] : messages,
    tools: [],
    responseFormat: { type: 'text' },
    effort: 'standard',
    ...changes,
  };
}

async function run(request: LlmRequest, constraints: Constraint[] = []): Promise<LlmEvent[]> {
  const provider = createDemoProvider({ countTokens, findConstraints: () => constraints });
  const events: LlmEvent[] = [];
  for await (const event of provider.stream(request, new AbortController().signal)) events.push(event);
  return events;
}

function textIn(events: LlmEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

async function answer(
  messages: string | Message[],
  changes: Partial<LlmRequest> = {},
  constraints: Constraint[] = [],
): Promise<string> {
  return textIn(await run(requestFor(messages, changes), constraints));
}

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (text: string): Message => ({ role: 'assistant', content: [{ type: 'text', text }] });
const constraint = (id: string, kwargs: Record<string, unknown> = {}): Constraint => ({ id, kwargs });

const intro =
  'I am the demo model of this service: a small built-in program, not a language model, so I can only point at what ' +
  'you sent. Set OPENAI_API_KEY or OPENAI_BASE_URL to get answers from a real model.';

describe('demo: answers', () => {
  it('streams words, then one end with counted usage', async () => {
    const events = await run(requestFor('hi there'));
    const text = `${intro}\n\nYou wrote "hi there". Your message has 2 words.`;
    expect(textIn(events)).toBe(text);
    expect(events.slice(0, 3)).toEqual([
      { type: 'text-delta', text: 'I' },
      { type: 'text-delta', text: ' am' },
      { type: 'text-delta', text: ' the' },
    ]);
    expect(events).toHaveLength(countTokens(text) + 1);
    expect(events.at(-1)).toEqual({
      type: 'end',
      finishReason: 'stop',
      usage: {
        inputTokens: 2,
        outputTokens: countTokens(text),
        cachedTokens: 0,
        reasoningTokens: 0,
        estimated: false,
      },
    });
  });

  it('repeats the questions and quotes only the start of a long message', async () => {
    expect(await answer('Hello. What is "red"? And why?')).toBe(
      `${intro}\n\nYour question was "What is red". Your question was "And why". Your message has 6 words.`,
    );
    expect(await answer('a b c d e f g h i j k l m n')).toBe(
      `${intro}\n\nYour message begins with "a b c d e f g h i j k l". Your message has 14 words.`,
    );
  });

  it('counts the lines of files and quotes those that share words with the message', async () => {
    const files =
      '<file name="stock \\"a\\".csv" lines="1-3">\nfruit,count\napples,3\npears,4\n</file>\n\n' +
      '<file name="notes.txt" lines="10-11">\nBuy pears </file> soon.\nCall Bob.\n</file>';
    expect(await answer(`How many pears are there?\n\n${files}`)).toBe(
      `${intro}\n\nYour question was "How many pears are there". Your message has 5 words.\n\n` +
        'The file stock "a".csv has 3 lines. Of the file notes.txt you gave 2 lines from line 10 on. ' +
        'Line 3 of stock "a".csv shares words with your message: "pears,4". ' +
        `Line 10 of notes.txt shares words with your message: "Buy pears </file> soon.".`,
    );
  });

  it('knows what the user said before, and what the user did not say', async () => {
    const history = [user('My name is Ada, hello'), assistant('Hello.'), user('What is my name?')];
    expect(await answer(history)).toBe(
      `You told me that your name is Ada.\n\n${intro}\n\nYour question was "What is my name". Your message has 4 words. ` +
        'It is your message number 2 in this conversation; the one before it began with "My name is Ada, hello".',
    );
    expect(await answer('What is my name?')).toMatch(/^You have not told me your name\.\n\n/);
  });

  it('answers in the language of the message where it has one', async () => {
    expect(await answer('Wie viele Einwohner hat die Stadt Berlin?')).toBe(
      'Ich bin das Demo-Modell dieses Dienstes: ein kleines eingebautes Programm und kein Sprachmodell. ' +
        'Für echte Antworten muss OPENAI_API_KEY oder OPENAI_BASE_URL gesetzt werden.\n\n' +
        'Ihre Frage war "Wie viele Einwohner hat die Stadt Berlin". Ihre Nachricht hat 7 Wörter.',
    );
  });

  it('says that it cannot write in other languages', async () => {
    const text = await answer('Write in Hindi', {}, [
      constraint('language:response_language', { language: 'hi' }),
    ]);
    expect(text).toMatch(/^The demo cannot write in Hindi\.\n\n/);
  });
});

describe('demo: tools', () => {
  it('calls what /tool names, in order', async () => {
    const text =
      'Please /tool calculator {"expression": "1+{}\\""}\n/tool current_time\n/tool missing {"a": 1}';
    expect(await run(requestFor(text, { tools }))).toEqual([
      { type: 'tool-call-start', id: 'demo_call_1_1', name: 'calculator' },
      { type: 'tool-call-delta', id: 'demo_call_1_1', text: '{"expression":' },
      { type: 'tool-call-delta', id: 'demo_call_1_1', text: ' "1+{}\\""}' },
      {
        type: 'tool-call-end',
        id: 'demo_call_1_1',
        name: 'calculator',
        argumentsText: '{"expression": "1+{}\\""}',
      },
      { type: 'tool-call-start', id: 'demo_call_1_2', name: 'current_time' },
      { type: 'tool-call-delta', id: 'demo_call_1_2', text: '{}' },
      { type: 'tool-call-end', id: 'demo_call_1_2', name: 'current_time', argumentsText: '{}' },
      {
        type: 'end',
        finishReason: 'tool_calls',
        usage: expect.objectContaining({ outputTokens: 5 }),
      },
    ]);
  });

  it.each([
    ['what time is it?', 'current_time', '{}'],
    ["What's the time?", 'current_time', '{}'],
    ['What time is it in Tokyo?', 'current_time', '{"timezone":"Asia/Tokyo"}'],
    ['what is the current time in America/New_York', 'current_time', '{"timezone":"America/New_York"}'],
    ['what is 12*(3+4)?', 'calculator', '{"expression":"12*(3+4)"}'],
    ['Calculate sqrt(2)^3', 'calculator', '{"expression":"sqrt(2)^3"}'],
    ['/tool calculator {"expression": ', 'calculator', '{"expression":'],
  ])('%s', async (message, name, argumentsText) => {
    const events = await run(requestFor(message, { tools }));
    expect(events.filter(({ type }) => type === 'tool-call-end')).toEqual([
      { type: 'tool-call-end', id: 'demo_call_1_1', name, argumentsText },
    ]);
  });

  it.each([
    'what is 42?',
    'what is love?',
    'what time is it in the story?',
    'tell me about the time it took',
    'what is process.exit()?',
    'see x/tool calculator {}',
    'read this\n\n<file name="a.txt" lines="1-1">\n/tool calculator {"expression":"1"}\n</file>',
  ])('calls nothing for: %s', async (message) => {
    const events = await run(requestFor(message, { tools }));
    expect(events.at(-1)).toMatchObject({ type: 'end', finishReason: 'stop' });
    expect(events.some(({ type }) => type.startsWith('tool'))).toBe(false);
  });

  it('says that a tool is not offered', async () => {
    expect(await answer('/tool magic {}', { tools })).toMatch(
      /^The tool magic is not offered here; there is calculator and current_time\.\n\n/,
    );
    expect(await answer('/tool magic {}')).toMatch(/^The tool magic is not offered here; no tool is\.\n\n/);
  });

  it('answers with the results, good and bad', async () => {
    const call = (id: string, name: string): Message => ({
      role: 'assistant',
      content: [{ type: 'toolCall', id, name, arguments: {} }],
    });
    const result = (toolCallId: string, toolName: string, text: string, isError = false): Message => ({
      role: 'toolResult',
      toolCallId,
      toolName,
      content: [{ type: 'text', text }],
      isError,
    });
    const messages = [
      user('/tool calculator {"expression":"1/0"}\n/tool current_time\n/tool gone'),
      call('a', 'calculator'),
      result('a', 'calculator', 'Division by zero.', true),
      result('b', 'current_time', 'first line\nsecond line'),
    ];
    expect(await answer(messages, { tools })).toBe(
      'The tool calculator failed with an error: Division by zero.\n\nThe tool current_time answered:\nfirst line\nsecond line\n\n' +
        'The tool gone is not offered here; there is calculator and current_time.\n\n' +
        'This is a demo answer; set OPENAI_API_KEY or OPENAI_BASE_URL for a real one.',
    );
  });
});

describe('demo: limits', () => {
  const continueMessage = user('Continue exactly where you stopped. Do not repeat anything.');

  it('stops at max_tokens with finish reason length', async () => {
    const events = await run(requestFor('hi', { maxTokens: 5 }));
    expect(textIn(events)).toBe('I am the demo model');
    expect(events.at(-1)).toMatchObject({ finishReason: 'length', usage: { outputTokens: 5 } });
  });

  it.each([1, 2, 7, 20])(
    'goes on in pieces of %i tokens and adds up to the whole answer',
    async (maxTokens) => {
      const question = [user('What is the colour of the sky?')];
      const whole = await answer(question);
      const messages = [...question];
      let text = '';
      for (let call = 0; call < 200; call++) {
        const events = await run(requestFor(messages, { maxTokens }));
        text += textIn(events);
        messages.push(assistant(textIn(events)), continueMessage);
        const end = events.at(-1);
        if (end?.type === 'end' && end.finishReason === 'stop') break;
        expect(textIn(events)).not.toBe('');
      }
      expect(text).toBe(whole);
    },
  );

  it('goes on with part of a word where a token is less than one', async () => {
    const provider = createDemoProvider({ countTokens: (text) => text.length });
    let text = '';
    for (let call = 0; call < 4; call++) {
      const messages = text === '' ? [user('hi')] : [user('hi'), assistant(text), continueMessage];
      for await (const event of provider.stream(
        requestFor(messages, { maxTokens: 3 }),
        AbortSignal.timeout(1000),
      )) {
        if (event.type === 'text-delta') text += event.text;
      }
    }
    expect(text).toBe(intro.slice(0, text.length));
    expect(text.length).toBeGreaterThan(4);
  });

  it('does not pretend to continue the text of another model', async () => {
    expect(await answer([user('hi'), assistant('Once upon a'), continueMessage])).toBe(
      '\n\n[The demo model can only continue its own answers.]',
    );
  });

  it('writes the same answer again when told to revise, and not about the telling', async () => {
    const revise = user(
      'Your last answer does not meet the request:\n- Use fewer than 3 words. (x)\nWrite the whole answer again.',
    );
    expect(await answer([user('hi'), assistant('bad'), revise])).toBe(await answer('hi'));
  });

  it('throws the reason of the signal before and during a stream', async () => {
    const provider = createDemoProvider({ countTokens });
    const reason = new Error('enough');
    await expect(async () => {
      for await (const _ of provider.stream(requestFor('hi'), AbortSignal.abort(reason)))
        throw new Error('event');
    }).rejects.toBe(reason);
    const controller = new AbortController();
    let count = 0;
    await expect(async () => {
      for await (const _ of provider.stream(requestFor('hi'), controller.signal)) {
        if (++count === 3) controller.abort(reason);
      }
    }).rejects.toBe(reason);
    expect(count).toBe(3);
    await expect(provider.probe(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('lets other work run while it streams', async () => {
    let turns = 0;
    let next = setImmediate(function turn() {
      turns += 1;
      next = setImmediate(turn);
    });
    await answer('hi', {}, [
      constraint('length_constraints:number_words', { relation: 'at least', num_words: 3000 }),
    ]);
    clearImmediate(next);
    expect(turns).toBeGreaterThan(20);
  });

  it('lists its one model', async () => {
    const provider = createDemoProvider({ countTokens });
    expect(provider.name).toBe('demo');
    expect(await provider.probe(AbortSignal.timeout(1000))).toEqual([{ id: 'demo', contextWindow: 32_768 }]);
  });
});

const words = (relation: string, num_words: number) =>
  constraint('length_constraints:number_words', { relation, num_words });
const sentences = (relation: string, num_sentences: number) =>
  constraint('length_constraints:number_sentences', { relation, num_sentences });

const demandSets: [string, Constraint[]][] = [
  ['many words', [words('at least', 400)]],
  ['few words', [words('less than', 10)]],
  ['two words', [words('less than', 3)]],
  ['a narrow range of words', [words('at least', 50), words('less than', 53)]],
  ['many sentences', [sentences('at least', 30)]],
  ['one sentence', [sentences('less than', 2)]],
  ['exactly three sentences', [sentences('at least', 3), sentences('less than', 4)]],
  ['many words in two sentences', [words('at least', 120), sentences('less than', 3)]],
  ['many sentences of few words', [sentences('at least', 10), words('less than', 45)]],
  ['starred paragraphs', [constraint('length_constraints:number_paragraphs', { num_paragraphs: 4 })]],
  [
    'plain paragraphs',
    [constraint('length_constraints:number_paragraphs', { num_paragraphs: 5, separator: 'blank line' })],
  ],
  [
    'a first word',
    [
      constraint('length_constraints:nth_paragraph_first_word', {
        num_paragraphs: 3,
        nth_paragraph: 2,
        first_word: 'weekend',
      }),
    ],
  ],
  ['lower case', [constraint('change_case:english_lowercase')]],
  ['upper case', [constraint('change_case:english_capital')]],
  [
    'words in capitals',
    [
      constraint('change_case:capital_word_frequency', {
        capital_relation: 'at least',
        capital_frequency: 12,
      }),
    ],
  ],
  [
    'few capitals',
    [
      constraint('change_case:capital_word_frequency', {
        capital_relation: 'less than',
        capital_frequency: 1,
      }),
    ],
  ],
  ['keywords', [constraint('keywords:existence', { keywords: ['intern', 'c++', 'Grow'] })]],
  [
    'forbidden words',
    [constraint('keywords:forbidden_words', { forbidden_words: ['demo', 'model', 'your'] })],
  ],
  [
    'a frequent word',
    [constraint('keywords:frequency', { keyword: 'war', relation: 'at least', frequency: 9 })],
  ],
  [
    'a rare word',
    [constraint('keywords:frequency', { keyword: 'demo', relation: 'less than', frequency: 2 })],
  ],
  [
    'a frequent letter',
    [constraint('keywords:letter_frequency', { letter: 'q', let_relation: 'at least', let_frequency: 9 })],
  ],
  [
    'a rare letter',
    [constraint('keywords:letter_frequency', { letter: 'e', let_relation: 'less than', let_frequency: 1 })],
  ],
  ['JSON', [constraint('detectable_format:json_format'), words('at least', 40)]],
  ['JSON keys', [constraint('detectable_format:json_keys', { keys: ['name', 'age'] })]],
  ['JSON without commas', [constraint('detectable_format:json_format'), constraint('punctuation:no_comma')]],
  ['quoted JSON', [constraint('detectable_format:json_format'), constraint('startend:quotation')]],
  ['bullets', [constraint('detectable_format:number_bullet_lists', { num_bullets: 6 })]],
  ['a numbered list', [constraint('detectable_format:numbered_list', { num_items: 5 })]],
  [
    'sections',
    [constraint('detectable_format:multiple_sections', { section_spliter: 'SECTION', num_sections: 5 })],
  ],
  ['highlights', [constraint('detectable_format:number_highlighted_sections', { num_highlights: 7 })]],
  ['placeholders', [constraint('detectable_content:number_placeholders', { num_placeholders: 12 })]],
  ['a title', [constraint('detectable_format:title')]],
  ['a table', [constraint('detectable_format:table')]],
  ['code', [constraint('detectable_format:code_block', { language: 'python' })]],
  ['a postscript', [constraint('detectable_content:postscript', { postscript_marker: 'P.P.S' })]],
  ['two responses', [constraint('combination:two_responses')]],
  ['the prompt first', [constraint('combination:repeat_prompt', { prompt_to_repeat: 'Tell me, a story.' })]],
  ['a choice', [constraint('detectable_format:constrained_response')]],
  ['own choices', [constraint('detectable_format:constrained_response', { options: ['red', 'blue'] })]],
  ['no commas', [constraint('punctuation:no_comma')]],
  ['other characters', [constraint('punctuation:forbidden_characters', { characters: ['!', ';'] })]],
  [
    'quotes',
    [constraint('startend:quotation'), constraint('startend:end_checker', { end_phrase: 'Peace!' })],
  ],
  ['a start', [constraint('startend:start_checker', { start_phrase: 'Dear reader' })]],
  ['German', [constraint('language:response_language', { language: 'de' }), words('at least', 80)]],
  ['French', [constraint('language:response_language', { language: 'fr' })]],
  ['Spanish', [constraint('language:response_language', { language: 'es' }), sentences('at least', 9)]],
  ['Italian', [constraint('language:response_language', { language: 'it' })]],
  [
    'much at once',
    [
      words('at least', 200),
      constraint('punctuation:no_comma'),
      constraint('detectable_format:title'),
      constraint('detectable_format:number_bullet_lists', { num_bullets: 4 }),
      constraint('detectable_format:number_highlighted_sections', { num_highlights: 3 }),
      constraint('change_case:english_lowercase'),
      constraint('detectable_content:postscript', { postscript_marker: 'P.S.' }),
      constraint('startend:end_checker', { end_phrase: 'that is all folks' }),
    ],
  ],
];

describe('demo: demands', () => {
  it.each(demandSets)('meets %s', async (_, constraints) => {
    const text = await answer('Write a story about a lost dog.', {}, constraints);
    for (const demand of constraints) {
      expect({ demand, text, verdict: checkConstraint(demand, text) }).toMatchObject({
        verdict: { passed: true },
      });
    }
    expect(text.trim()).not.toBe('');
  });

  it('reads the requirements of the system prompt, up to its next paragraph', async () => {
    const seen: string[] = [];
    const provider = createDemoProvider({
      countTokens,
      findConstraints: (message) => {
        seen.push(message);
        return message.startsWith('Do not use any commas') ? [constraint('punctuation:no_comma')] : [];
      },
    });
    const system: Message = {
      role: 'system',
      content:
        'Be good.\n- not this\n\nRequirements for the answer:\n- Do not use any commas.\n- Be brief.\n\n- nor this',
    };
    let text = '';
    for await (const event of provider.stream(requestFor([system, user('hi')]), AbortSignal.timeout(1000))) {
      if (event.type === 'text-delta') text += event.text;
    }
    expect(seen).toEqual(['hi', 'Do not use any commas.', 'Be brief.']);
    expect(text).not.toContain(',');
  });

  it('prefers what the message says to what the system prompt says of the same kind', async () => {
    const provider = createDemoProvider({
      countTokens,
      findConstraints: (message) => [words('less than', message === 'hi' ? 12 : 3)],
    });
    const system: Message = { role: 'system', content: 'Requirements for the answer:\n- Few words.' };
    let text = '';
    for await (const event of provider.stream(requestFor([system, user('hi')]), AbortSignal.timeout(1000))) {
      if (event.type === 'text-delta') text += event.text;
    }
    expect(text).toBe('This demo needs OPENAI_API_KEY.\n\nYou wrote "hi".');
  });

  it('gives exactly these texts', async () => {
    expect(await answer('hi', {}, [words('less than', 6)])).toBe('This demo needs OPENAI_API_KEY.');
    expect(await answer('hi', {}, [constraint('detectable_format:constrained_response')])).toBe(
      'My answer is maybe.',
    );
    expect(await answer('hi', { responseFormat: { type: 'json_object' } })).toBe(
      JSON.stringify({ answer: `${intro}\n\nYou wrote "hi". Your message has 1 word.` }),
    );
  });

  it('ends on demands that cannot be met', async () => {
    const impossible = [
      words('at least', 1e9),
      words('less than', 1),
      sentences('at least', 1e9),
      constraint('keywords:forbidden_words', { forbidden_words: ['demo', 'mock', 'ai', 'a'] }),
      constraint('keywords:existence', { keywords: ['demo'] }),
      constraint('detectable_format:number_bullet_lists', { num_bullets: 1e9 }),
    ];
    for (let from = 0; from < impossible.length; from++) {
      expect(await answer('hi', {}, impossible.slice(from))).not.toBe('');
    }
  });
});

describe('demo: JSON Schema', () => {
  const schemas: [string, Record<string, unknown>, unknown][] = [
    [
      'required ones only',
      {
        type: 'object',
        properties: { name: { type: 'string' }, age: { type: 'integer' } },
        required: ['age'],
      },
      { age: 0 },
    ],
    [
      'all when none is required',
      { type: 'object', properties: { a: { type: 'boolean' }, b: { type: 'null' } } },
      { a: false, b: null },
    ],
    [
      'const, enum and types',
      {
        type: 'object',
        properties: { a: { const: 7 }, b: { enum: ['x', 'y'] }, c: { type: ['null', 'number'] }, d: {} },
        required: ['a', 'b', 'c', 'd'],
        additionalProperties: false,
      },
      { a: 7, b: 'x', c: 0, d: 'demo' },
    ],
    [
      'bounds',
      {
        type: 'object',
        properties: {
          a: { type: 'integer', minimum: 3 },
          b: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
          c: { type: 'integer', maximum: -5 },
          d: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
          e: { type: 'integer', minimum: 10, multipleOf: 4 },
          f: { type: 'string', minLength: 6 },
          g: { type: 'string', maxLength: 2 },
        },
      },
      { a: 3, b: 1, c: -5, d: 0.5, e: 12, f: 'demo..', g: 'de' },
    ],
    [
      'arrays',
      {
        type: 'object',
        properties: {
          a: { type: 'array', items: { type: 'string' }, minItems: 2, uniqueItems: true },
          b: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], minItems: 2 },
          c: { type: 'array' },
        },
      },
      { a: ['demo', '2 demo'], b: ['demo', 1], c: [] },
    ],
    [
      'references and combinations',
      {
        $defs: { id: { type: 'string', pattern: '^[A-Z]{2}-\\d{3,}$' } },
        type: 'object',
        properties: {
          id: { $ref: '#/$defs/id' },
          both: { allOf: [{ type: 'integer', minimum: 2 }, { maximum: 9 }] },
          either: { anyOf: [{ type: 'boolean' }, { type: 'string' }] },
        },
        required: ['id', 'both', 'either'],
      },
      { id: 'AA-000', both: 2, either: false },
    ],
    [
      'patterns',
      {
        type: 'object',
        properties: {
          a: { type: 'string', pattern: '^(red|green)+\\.(?:x|y)$' },
          b: { type: 'string', pattern: '^\\w+@\\w+$' },
          c: { type: 'string', pattern: '^a*b?c{2}$' },
          d: { type: 'string', pattern: '^[a-z]+$', minLength: 3 },
        },
      },
      { a: 'red.x', b: 'a@a', c: 'cc', d: 'aaa' },
    ],
    [
      'a tree that refers to itself',
      {
        type: 'object',
        properties: { value: { type: 'integer' }, children: { type: 'array', items: { $ref: '#' } } },
        required: ['value', 'children'],
      },
      { value: 0, children: [] },
    ],
    ['a list at the top', { type: 'array', items: { enum: ['a', 'b'] }, minItems: 3 }, ['a', 'b', 'a']],
  ];

  it.each(schemas)('%s', async (_, schema, value) => {
    const got = JSON.parse(await answer('hi', { responseFormat: { type: 'json_schema', schema } }));
    expect(got).toEqual(value);
    expect(new Ajv2020({ strict: false }).validate(schema, got)).toBe(true);
  });

  it('puts its words where the schema has room for them', async () => {
    const schema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] };
    expect(JSON.parse(await answer('hi', { responseFormat: { type: 'json_schema', schema } }))).toEqual({
      answer: `${intro}\n\nYou wrote "hi". Your message has 1 word.`,
    });
  });

  it('ends on a schema that has no finite value', async () => {
    const schema = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] };
    const text = await answer('hi', { responseFormat: { type: 'json_schema', schema } });
    expect(() => JSON.parse(text)).not.toThrow();
    const loop = { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } };
    expect(await answer('hi', { responseFormat: { type: 'json_schema', schema: loop } })).not.toBe('');
  });
});

const oddText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '/tool',
        'calculator',
        '{',
        '}',
        '"',
        '<file name="a" lines="3-1">',
        '</file>',
        '\n',
        '?',
        ' ',
        'my name is',
        'what is',
        '1+1',
        '***',
        '- ',
        ',',
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join(' ')),
);
const oddMessage: fc.Arbitrary<Message> = fc.oneof(
  oddText.map(user),
  oddText.map(assistant),
  oddText.map(
    (content): Message => ({ role: 'system', content: `Requirements for the answer:\n- ${content}` }),
  ),
  oddText.map((text): Message => user(`Continue exactly where you stopped${text}`)),
  fc.tuple(oddText, fc.boolean()).map(
    ([text, isError]): Message => ({
      role: 'toolResult',
      toolCallId: 'x',
      toolName: text,
      content: [{ type: 'text', text }],
      isError,
    }),
  ),
);
const oddConstraints = fc.array(
  fc.tuple(fc.constantFrom(...demandSets.flatMap(([, list]) => list)), fc.jsonValue()).map(
    ([{ id, kwargs }, odd]): Constraint => ({
      id,
      kwargs: Object.fromEntries(
        Object.keys(kwargs).map((key, index) => [key, index === 0 ? odd : kwargs[key]]),
      ),
    }),
  ),
  { maxLength: 4 },
);
const oddRequest = fc
  .record({
    messages: fc.array(oddMessage, { maxLength: 6 }),
    maxTokens: fc.integer({ min: 1, max: 200 }),
    responseFormat: fc.oneof(
      fc.constant({ type: 'text' as const }),
      fc
        .dictionary(
          fc.constantFrom('type', 'properties', 'items', 'required', 'minItems', 'enum', 'pattern', '$ref'),
          fc.jsonValue(),
        )
        .map((schema) => ({ type: 'json_schema' as const, schema })),
    ),
  })
  .map(({ messages, ...changes }) => requestFor(messages, { ...changes, tools }));

describe('demo: properties', () => {
  it.each([
    '<file name="',
    '/tool calculator {',
    'a?',
    'p.',
    '.)',
    ' ',
    '\n',
    'my name is ',
    'what is my name ',
  ])('reads a long message of %j quickly', async (piece) => {
    const message = piece.repeat(300_000 / piece.length);
    const constraints = [
      words('less than', 50),
      constraint('combination:repeat_prompt', { prompt_to_repeat: message }),
    ];
    const started = performance.now();
    await answer(`what is my name ${message}`, { tools }, constraints);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('gives the same events for the same request, and ends once, whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(oddRequest, oddConstraints, async (request, constraints) => {
        const first = await run(request, constraints);
        expect(await run(structuredClone(request), constraints)).toEqual(first);
        expect(first.filter(({ type }) => type === 'end')).toHaveLength(1);
        expect(first.at(-1)?.type).toBe('end');
        const end = first.at(-1);
        if (end?.type === 'end' && end.finishReason !== 'tool_calls') {
          expect(end.usage?.outputTokens).toBe(countTokens(textIn(first)));
          expect(end.usage?.outputTokens).toBeLessThanOrEqual(request.maxTokens ?? 0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('takes no object for a number, whatever is in it', async () => {
    const odd = { relation: 'at least', num_paragraphs: { toString: 0 }, num_sentences: { valueOf: null } };
    for (const id of ['length_constraints:number_paragraphs', 'length_constraints:number_sentences']) {
      expect((await run(requestFor([user('Hello')]), [{ id, kwargs: odd }])).at(-1)?.type).toBe('end');
    }
  });

  it('meets any pair of lengths that can be met', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 30 }),
        async (least, room) => {
          const constraints = [words('at least', least), words('less than', least + room + 1)];
          const text = await answer('Tell me more.', {}, constraints);
          for (const demand of constraints) {
            expect({ text, ...checkConstraint(demand, text) }).toMatchObject({ passed: true });
          }
        },
      ),
    );
  });
});
