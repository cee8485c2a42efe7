/** What the demo can say, in one language. Every entry is one or more whole sentences. */
export type Phrases = {
  /** words that tell this language from the others */
  smallWords: string;
  /** ways to say what is answering, from the fullest to the shortest */
  intros: string[][];
  wrote(text: string): string;
  begins(text: string): string;
  asked(question: string): string;
  wordCount(count: number): string;
  conversation(number: number, previous: string): string;
  nameKnown(name: string): string;
  nameUnknown: string;
  images: string;
  file(name: string, count: number, first: number): string;
  closestLine(name: string, number: number, text: string): string;
  /** followed by the result */
  toolAnswer(name: string): string;
  toolError(name: string): string;
  toolMissing(name: string, offered: string[]): string;
  /** distinct sentences without facts, to reach a length */
  filler(index: number): string;
  /** the sentence at index i has i + 1 words */
  short: string[];
};

const fillers = [
  'The same request always gets the same answer from it.',
  'It runs inside the service and sends nothing to another server.',
  'It needs no key and costs nothing.',
  'It counts words and lines but understands neither.',
  'It can follow plain demands such as a length or a format.',
  'It reads attached files and quotes lines that share words with the message.',
  'It calls a tool when a message names one after a slash.',
  'It never guesses a fact that is missing from the message.',
  'A real model would write about the subject at this point.',
  'Its words arrive one at a time as those of a real model do.',
  'It keeps to the token limit of the request.',
  'It stops at once when a request is cancelled.',
  'It helps to try the service before a real model is set up.',
  'It makes tests of a client repeatable.',
];

const numberedFillers: ((number: number) => string)[] = [
  (number) => `Sentence ${number} only adds length because the request asked for more words.`,
  (number) => `There is no fact in filler sentence ${number} of this demo.`,
  (number) => `Number ${number} in this row of fillers says nothing new either.`,
  (number) => `A demo has little to say and so line ${number} is padding.`,
  (number) => `The count of filler sentences has now reached ${number}.`,
  (number) => `Please read nothing into sentence ${number} of this text.`,
  (number) => `With a real model there would be content in place of sentence ${number}.`,
];

export const english: Phrases = {
  smallWords:
    'the a an is are was what why how who when where of to in on and or not you your please write my me it can',
  intros: [
    [
      'I am the demo model of this service: a small built-in program, not a language model, so I can only point at what you sent.',
      'Set OPENAI_API_KEY or OPENAI_BASE_URL to get answers from a real model.',
    ],
    ['This is a demo answer; set OPENAI_API_KEY or OPENAI_BASE_URL for a real one.'],
    ['This demo needs OPENAI_API_KEY.'],
    ['This is only a demo.'],
    ['A small program wrote this text.'],
    ['No AI.'],
    ['Demo.'],
    ['Mock.'],
  ],
  wrote: (text) => `You wrote "${text}".`,
  begins: (text) => `Your message begins with "${text}".`,
  asked: (question) => `Your question was "${question}".`,
  wordCount: (count) => `Your message has ${count} ${count === 1 ? 'word' : 'words'}.`,
  conversation: (number, previous) =>
    `It is your message number ${number} in this conversation; the one before it began with "${previous}".`,
  nameKnown: (name) => `You told me that your name is ${name}.`,
  nameUnknown: 'You have not told me your name.',
  images: 'You attached an image; I cannot see images.',
  file: (name, count, first) =>
    first > 1
      ? `Of the file ${name} you gave ${count} ${count === 1 ? 'line' : 'lines'} from line ${first} on.`
      : `The file ${name} has ${count} ${count === 1 ? 'line' : 'lines'}.`,
  closestLine: (name, number, text) => `Line ${number} of ${name} shares words with your message: "${text}".`,
  toolAnswer: (name) => `The tool ${name} answered:`,
  toolError: (name) => `The tool ${name} failed with an error:`,
  toolMissing: (name, offered) =>
    `The tool ${name} is not offered here; ${offered.length > 0 ? `there is ${offered.join(' and ')}` : 'no tool is'}.`,
  filler: (index) => numbered(fillers, numberedFillers, index),
  short: [
    'Demo.',
    'Demo text.',
    'Still demo text.',
    'This is demo text.',
    'This is more demo text.',
    'This is one more demo sentence.',
    'This is one more short demo sentence.',
    'This is one more very short demo sentence.',
  ],
};

function numbered(fixed: string[], templates: ((number: number) => string)[], index: number): string {
  return fixed[index] ?? templates[index % templates.length]?.(index + 1) ?? '';
}
