import { createRequire } from 'node:module';
import type { Message } from '../core/message.js';
import type { ToolDefinition } from './provider.js';

type Tokenizer = {
  countTokens(text: string, options: { disallowedSpecial: Set<string> }): number;
  setMergeCacheSize(size: number): void;
};

/** characters up to which every one is counted: counting takes up to half a millisecond for 1,000 of them */
const maxExact = 16 * 1024;
const sampleCount = 24;
const sampleLength = 512;
/** The tokenizer takes quadratic time in a stretch without a boundary, so longer ones are counted in parts. */
const maxRun = 128;
/** Enough for the words of a text; a large cache that is full halves the speed, as each new word puts out an old one. */
const mergeCacheSize = 2_000;

/** what a provider adds to each message */
const tokensPerMessage = 4;
const perTool = 8;
/** what a provider charges for an image of about a megapixel */
const perImage = 1_000;

const plainText = { disallowedSpecial: new Set<string>() };
let loaded: { tokenizer: Tokenizer; classes: Uint8Array } | undefined;

/** Loading takes a good 100 ms and 80 MB, so it is done at start, or else by the first count. */
export async function warmTokenizer(): Promise<void> {
  await new Promise(setImmediate);
  countTokens('The first count compiles the patterns.');
}

/** Tokens of a text for the o200k encoding, which is exact for OpenAI's models and close for others. */
export function countTokens(text: string): number {
  if (text === '') return 0;
  return text.length <= maxExact ? countAll(text) : countSamples(text);
}

const counted = new WeakMap<object, number>();

/** Plan, agent and router ask for the same things again: nothing that is counted here changes afterwards. */
function once<T extends object>(thing: T, count: (thing: T) => number): number {
  let tokens = counted.get(thing);
  if (tokens === undefined) {
    tokens = count(thing);
    counted.set(thing, tokens);
  }
  return tokens;
}

/** Tokens of a request's messages and tools, with what a provider adds around them. */
export function countMessagesTokens(messages: readonly Message[], tools: readonly ToolDefinition[]): number {
  let total = 0;
  for (const message of messages) total += tokensPerMessage + once(message, countMessage);
  for (const tool of tools) total += perTool + once(tool, countTool);
  return total;
}

function countTool({ name, description, parameters }: ToolDefinition): number {
  return countTokens(`${name} ${description} ${JSON.stringify(parameters)}`);
}

function countMessage(message: Message): number {
  if (typeof message.content === 'string') return countTokens(message.content);
  let total = 0;
  for (const block of message.content) {
    switch (block.type) {
      case 'text':
        total += countTokens(block.text);
        break;
      case 'toolCall':
        total += perTool + countTokens(block.name) + countTokens(JSON.stringify(block.arguments));
        break;
      case 'image':
        total += perImage;
        break;
      case 'thinking': // goes back only when it is sealed
        if (block.sealedBy)
          total += countTokens(block.thinking) + Math.ceil((block.redacted?.length ?? 0) / 4);
        break;
      default:
        block satisfies never;
    }
  }
  return total;
}

function countSamples(text: string): number {
  const stride = (text.length - sampleLength) / (sampleCount - 1);
  let total = 0;
  for (let sample = 0; sample < sampleCount; sample += 1) {
    const start = Math.floor(sample * stride);
    total += countAll(text.slice(start, start + sampleLength));
  }
  return Math.round((total * text.length) / (sampleCount * sampleLength));
}

function countAll(text: string): number {
  const { tokenizer, classes } = load();
  let total = 0;
  let start = 0;
  for (const cut of longRunCuts(text, classes)) {
    total += tokenizer.countTokens(text.slice(start, cut), plainText);
    start = cut;
  }
  return total + tokenizer.countTokens(start === 0 ? text : text.slice(start), plainText);
}

function load() {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  const tokenizer = require('gpt-tokenizer/encoding/o200k_base') as Tokenizer;
  tokenizer.setMergeCacheSize(mergeCacheSize);
  loaded = { tokenizer, classes: characterClasses() };
  return loaded;
}

const neutral = 0;
const letter = 1;
const space = 2;
const other = 3;
const digit = 4;

/** Where a stretch that the tokenizer's pattern might take as one piece gets too long. */
function longRunCuts(text: string, classes: Uint8Array): number[] {
  const cuts: number[] = [];
  let runClass = neutral;
  let runStart = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    const unitClass = classes[unit] ?? neutral;
    if (unitClass === digit || (unitClass !== runClass && unitClass !== neutral && runClass !== neutral)) {
      runStart = index;
      runClass = unitClass === digit ? neutral : unitClass;
    } else {
      if (runClass === neutral) runClass = unitClass;
      if (index - runStart >= maxRun && !isLowSurrogate(unit)) {
        cuts.push(index);
        runStart = index;
      }
    }
  }
  return cuts;
}

/**
 * The class of each UTF-16 unit. Neutral is what the pattern may take into a piece of more than one class: marks, halves
 * of surrogate pairs, line ends and the slash.
 */
function characterClasses(): Uint8Array {
  const classes = new Uint8Array(0x10000);
  for (let unit = 0; unit < classes.length; unit += 1) classes[unit] = classOf(unit);
  return classes;
}

function classOf(unit: number): number {
  const character = String.fromCharCode(unit);
  if (/[\r\n/\p{M}\p{Cs}]/u.test(character)) return neutral;
  if (/\p{L}/u.test(character)) return letter;
  if (/\p{N}/u.test(character)) return digit;
  return /\s/.test(character) ? space : other;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
