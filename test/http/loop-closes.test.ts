import { expect, test } from 'vitest';
import { constraintIds } from '../../src/pipeline/constraints/check.js';
import { startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, streamChat } from '../helpers/service.ts';

type Case = {
  id: string;
  message: string;
  /** breaks the constraint, and nothing else */
  breaks: string;
  obeys: string;
  /** what the model is told about the check that failed */
  told: string;
};

const german = 'Das Wetter ist heute sehr schön, und ich gehe mit meiner Familie im Park spazieren.';
const english = 'The weather is very nice today, and I am going for a walk in the park with my family.';

const cases: Case[] = [
  {
    id: 'length_constraints:number_words',
    message: 'Name some colours in fewer than 4 words.',
    breaks: 'Red and blue and green.',
    obeys: 'Red and blue.',
    told: '- Use fewer than 4 words. (5 words, wanted less than 4)',
  },
  {
    id: 'length_constraints:number_sentences',
    message: 'Describe the sea in exactly 2 sentences.',
    breaks: 'The sea is wide.',
    obeys: 'The sea is wide. It is deep too.',
    told: '- Write at least 2 sentences. (1 sentences, wanted at least 2)',
  },
  {
    id: 'length_constraints:number_paragraphs',
    message: 'Describe the sea. Write exactly 2 paragraphs, separated with ***.',
    breaks: 'The sea is wide.\n\nIt is deep too.',
    obeys: 'The sea is wide.\n***\nIt is deep too.',
    told: '- Write exactly 2 paragraphs, with a line of three asterisks (***) between them. (1 paragraphs, wanted 2)',
  },
  {
    id: 'length_constraints:nth_paragraph_first_word',
    message:
      'Describe the sea in 2 paragraphs separated by two new lines. The second paragraph must start with the word "deep".',
    breaks: 'The sea is wide.\n\nIt is blue.',
    obeys: 'The sea is wide.\n\nDeep and blue it is.',
    told: '- Write exactly 2 paragraphs with an empty line between them, and start paragraph 2 with the word "deep". (2 paragraphs, number 2 starts with "it")',
  },
  {
    id: 'length_constraints:number_characters',
    message: 'Describe the sea in at most 20 characters.',
    breaks: 'The sea is wide and deep.',
    obeys: 'The sea is wide.',
    told: '- Use fewer than 21 characters. (25 characters, wanted less than 21)',
  },
  {
    id: 'length_constraints:number_lines',
    message: 'Write a poem about the sea in exactly 2 lines.',
    breaks: 'The sea is wide and blue.',
    obeys: 'The sea is wide,\nthe sea is blue.',
    told: '- Write at least 2 lines. (1 lines, wanted at least 2)',
  },
  {
    id: 'keywords:existence',
    message: 'Describe the sea. Include the word "salt".',
    breaks: 'The sea is wide.',
    obeys: 'The sea is wide and full of salt.',
    told: '- Use each of these words: "salt". (missing: salt)',
  },
  {
    id: 'keywords:forbidden_words',
    message: 'Describe the sea. Do not use the word "blue".',
    breaks: 'The sea is wide and blue.',
    obeys: 'The sea is wide and deep.',
    told: '- Do not use any of these words: "blue". (used: blue)',
  },
  {
    id: 'keywords:frequency',
    message: 'Describe the sea. Use the word "wave" at least 3 times.',
    breaks: 'A wave follows a wave.',
    obeys: 'A wave follows a wave that follows a wave.',
    told: '- Use the word "wave" at least 3 times. (2 times "wave", wanted at least 3)',
  },
  {
    id: 'keywords:letter_frequency',
    message: 'Describe the sea without the letter z.',
    breaks: 'The sea is hazy.',
    obeys: 'The sea is misty.',
    told: '- Do not use the letter "z". (1 times "z", wanted less than 1)',
  },
  {
    id: 'detectable_format:json_format',
    message: 'Describe the sea. Answer in JSON format.',
    breaks: 'The sea is wide.',
    obeys: '{"sea": "The sea is wide."}',
    told: '- Answer with one valid JSON value and nothing else. (not valid JSON)',
  },
  {
    id: 'detectable_format:json_keys',
    message: 'Describe the sea as a JSON object with the keys "width" and "depth".',
    breaks: '{"width": "very wide"}',
    obeys: '{"width": "very wide", "depth": "very deep"}',
    told: '- Answer with a JSON object that has the keys "width", "depth". (missing keys: depth)',
  },
  {
    id: 'detectable_format:json_schema',
    message:
      'Describe the sea. Answer in JSON that follows this schema:\n```json\n{"type": "object", "required": ["depth"]}\n```',
    breaks: '{"width": "very wide"}',
    obeys: '{"depth": "very deep"}',
    told: '- Answer with JSON that meets this schema: {"type":"object","required":["depth"]}. (/ must have required property \'depth\')',
  },
  {
    id: 'detectable_format:number_highlighted_sections',
    message: 'Describe the sea. Highlight at least 2 phrases with markdown, like *this phrase*.',
    breaks: 'The sea is *wide* and deep.',
    obeys: 'The sea is *wide* and *deep*.',
    told: '- Highlight at least 2 parts with markdown, like *this*. (1 highlighted parts, wanted at least 2)',
  },
  {
    id: 'detectable_format:number_bullet_lists',
    message: 'Describe the sea in exactly 2 bullet points.',
    breaks: '* The sea is wide.',
    obeys: '* The sea is wide.\n* The sea is deep.',
    told: '- Use exactly 2 markdown bullets that start with "* ". (1 bullet points, wanted 2)',
  },
  {
    id: 'detectable_format:numbered_list',
    message: 'Describe the sea. Use a numbered list of 2 items.',
    breaks: 'The sea is wide. The sea is deep.',
    obeys: '1. The sea is wide.\n2. The sea is deep.',
    told: '- Use a numbered list of exactly 2 items. (0 numbered items, wanted 2)',
  },
  {
    id: 'detectable_format:multiple_sections',
    message: 'Describe the sea in 2 sections and mark the beginning of each section with SECTION X.',
    breaks: 'The sea is wide. The sea is deep.',
    obeys: 'SECTION 1\nThe sea is wide.\n\nSECTION 2\nThe sea is deep.',
    told: '- Write 2 sections, each starting with "SECTION" and its number. (0 sections, wanted at least 2)',
  },
  {
    id: 'detectable_format:title',
    message: 'Describe the sea. Add a title in double angular brackets, such as <<title>>.',
    breaks: 'The sea is wide.',
    obeys: '<<The sea>>\nThe sea is wide.',
    told: '- Include a title in double angular brackets, like <<title>>. (no <<title>>)',
  },
  {
    id: 'detectable_format:constrained_response',
    message:
      'Is the sea deep? Answer with one of these: "My answer is yes.", "My answer is no.", "My answer is maybe."',
    breaks: 'The sea is deep.',
    obeys: 'My answer is yes.',
    told: '- Answer with exactly one of these: "My answer is yes.", "My answer is no.", "My answer is maybe.". (none of the choices)',
  },
  {
    id: 'detectable_format:table',
    message: 'Compare the sea and the lake in a markdown table.',
    breaks: 'The sea is salty. The lake is not.',
    obeys: '| water | salty |\n| --- | --- |\n| sea | yes |\n| lake | no |',
    told: '- Include a markdown table. (no table)',
  },
  {
    id: 'detectable_format:code_block',
    message: 'Print hello. Put the code into a Python code block.',
    breaks: '```js\nconsole.log("hello");\n```',
    obeys: '```python\nprint("hello")\n```',
    told: '- Put the code into a fenced python code block. (no python code block)',
  },
  {
    id: 'detectable_format:plain_text',
    message: 'Describe the sea. Use plain text only.',
    breaks: '# The sea\n\nThe sea is wide.',
    obeys: 'The sea is wide.',
    told: '- Use plain text without any markdown. (has markdown)',
  },
  {
    id: 'detectable_content:number_placeholders',
    message: 'Write a short invitation with at least 2 placeholders, such as [name].',
    breaks: 'Dear [name], come to the sea with us.',
    obeys: 'Dear [name], come to the sea on [date].',
    told: '- Include at least 2 placeholders in square brackets, like [name]. (1 placeholders, wanted at least 2)',
  },
  {
    id: 'detectable_content:postscript',
    message: 'Describe the sea. Add a postscript starting with P.S. at the end.',
    breaks: 'The sea is wide.',
    obeys: 'The sea is wide.\n\nP.S. It is deep too.',
    told: '- End with a postscript that starts with P.S. (no "P.S.")',
  },
  {
    id: 'detectable_content:no_emoji',
    message: 'Describe the sea without emojis.',
    breaks: 'The sea is wide 🌊.',
    obeys: 'The sea is wide.',
    told: '- Do not use emoji. (has emoji)',
  },
  {
    id: 'detectable_content:form_of_address',
    message: 'Lade mich zum Sommerfest ein. Duze mich.',
    breaks: 'Hiermit laden wir Sie herzlich zum Sommerfest ein.',
    obeys: 'Hiermit laden wir dich herzlich zum Sommerfest ein.',
    told: '- Address the reader in the informal way, with "du". (0 times informal, 1 times not)',
  },
  {
    id: 'detectable_content:citations',
    message: 'Describe the sea and cite at least 2 sources.',
    breaks: 'The sea is wide (Carson, 1951).',
    obeys: 'The sea is wide (Carson, 1951) and deep (Cousteau, 1953).',
    told: '- Cite at least 2 sources, like [1] with a list of sources. (1 citations, wanted at least 2)',
  },
  {
    id: 'combination:two_responses',
    message: 'Describe the sea. Give two different responses, separated by six asterisks: ******.',
    breaks: 'The sea is wide. The sea is deep.',
    obeys: 'The sea is wide.\n******\nThe sea is deep.',
    told: '- Give exactly two different responses, separated by a line of six asterisks: ******. (1 parts around ******)',
  },
  {
    id: 'combination:repeat_prompt',
    message: 'Describe the sea.\n\nFirst repeat the request above word for word, then give your answer.',
    breaks: 'The sea is wide.',
    obeys: 'Describe the sea.\n\nThe sea is wide.',
    told: '- Start by repeating this word for word, with nothing before it, then answer: "Describe the sea." (does not start with the request)',
  },
  {
    id: 'change_case:english_lowercase',
    message: 'Describe the sea in all lowercase letters.',
    breaks: 'The sea is wide.',
    obeys: 'the sea is wide.',
    told: '- Use only lowercase letters; no capital letters anywhere. (has the capital letter "T")',
  },
  {
    id: 'change_case:english_capital',
    message: 'Describe the sea in all capital letters.',
    breaks: 'The sea is wide.',
    obeys: 'THE SEA IS WIDE.',
    told: '- Use only capital letters; no lowercase letters anywhere. (has the small letter "h")',
  },
  {
    id: 'change_case:capital_word_frequency',
    message: 'Describe the sea with at least 2 words in all capital letters.',
    breaks: 'The sea is WIDE and deep.',
    obeys: 'The sea is WIDE and DEEP.',
    told: '- Write at least 2 words in all capital letters. (1 words in capitals, wanted at least 2)',
  },
  {
    id: 'language:response_language',
    message: 'Describe the weather. Answer in German.',
    breaks: english,
    obeys: german,
    told: '- Write the whole answer in German. (language "en", wanted "de")',
  },
  {
    id: 'punctuation:no_comma',
    message: 'Describe the sea. Do not use any commas.',
    breaks: 'The sea is wide, deep and blue.',
    obeys: 'The sea is wide and deep and blue.',
    told: '- Do not use any commas. (has commas)',
  },
  {
    id: 'punctuation:forbidden_characters',
    message: 'Describe the sea. Do not use any exclamation marks.',
    breaks: 'The sea is wide!',
    obeys: 'The sea is wide.',
    told: '- Do not use any of these characters: "!". (used: !)',
  },
  {
    id: 'startend:end_checker',
    message: 'Describe the sea. End your response with "That is all."',
    breaks: 'The sea is wide.',
    obeys: 'The sea is wide. That is all.',
    told: '- End the answer with exactly "That is all." and write nothing after it. (ends with "the sea is wide.")',
  },
  {
    id: 'startend:start_checker',
    message: 'Describe the sea. Start your response with "Listen:"',
    breaks: 'The sea is wide.',
    obeys: 'Listen: the sea is wide.',
    told: '- Start the answer with exactly "Listen:". (starts with "the sea is wide.")',
  },
  {
    id: 'startend:quotation',
    message: 'Describe the sea. Wrap your entire response with double quotation marks.',
    breaks: 'The sea is wide.',
    obeys: '"The sea is wide."',
    told: '- Wrap the whole answer in double quotation marks. (not wrapped in double quotation marks)',
  },
];

type WireMessage = { role: string; content: string };

const lastMessage = (request: { body: unknown } | undefined) =>
  (request?.body as { messages: WireMessage[] } | undefined)?.messages.at(-1);

test.each(cases)('$id: an answer that breaks it is written again', async (row) => {
  const { fake, service } = await startChat([{ text: row.breaks }, { text: row.obeys }]);
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: row.message }));
  expect(await response.json()).toMatchObject({
    content: row.obeys,
    exit_reason: 'completed',
    evaluation: { passed: true, score: 1, revisions: 1 },
  });
  expect(fake.requests).toHaveLength(2);
  const { role, content } = lastMessage(fake.requests[1]) ?? { role: '', content: '' };
  expect(role).toBe('user');
  expect(content.split('\n')).toEqual([
    'Your last answer does not meet the request:',
    row.told,
    'Write the whole answer again.',
  ]);
});

test('every kind of constraint has its row', () => {
  expect(cases.map(({ id }) => id).sort()).toEqual([...constraintIds].sort());
});

test('an answer that is cut off goes on in the stream without a seam, whatever the model repeats', async () => {
  const whole = 'The sea is wide and deep. Its waves carry salt and light to every coast there is.';
  const { service } = await startChat([
    { text: whole.slice(0, 30), finishReason: 'length' },
    { text: whole.slice(20, 55), finishReason: 'length' },
    { text: whole.slice(55) },
  ]);
  const events = await (await streamChat(service, { message: 'Describe the sea.' })).ended;
  expect(contentOf(events)).toBe(whole);
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'stop', evaluation: { passed: true } });
});

test('what is still broken after a continuation is revised with the whole answer as the one that failed', async () => {
  const { fake, service } = await startChat([
    { text: 'The sea is wide, and', finishReason: 'length' },
    { text: ' it is deep.' },
    { text: 'The sea is wide and deep.' },
  ]);
  const message = 'Describe the sea. Do not use any commas.';
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ message }));
  expect(await response.json()).toMatchObject({
    content: 'The sea is wide and deep.',
    evaluation: { passed: true, revisions: 1 },
  });
  const body = fake.requests[2]?.body as { messages: WireMessage[] };
  expect(body.messages.at(-2)).toEqual({ role: 'assistant', content: 'The sea is wide, and it is deep.' });
});
