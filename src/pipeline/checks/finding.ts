import type { CheckResult } from '../../core/events.js';
import type { ExitReason, FinishReason, Message } from '../../core/message.js';
import type { ResponseFormat } from '../../llm/provider.js';
import type { Constraint } from '../constraints/constraint.js';
import type { Reading } from '../understand.js';

/** `advice` tells the model what to do better; only failed checks use it. */
export type Finding = CheckResult & {
  advice: string;
  /** 0..1: how much a failed check still counts for the score; absent: nothing */
  credit?: number;
};

/** What a given file holds, as far as checks look at it. `text` is absent when it is too long to look at. */
export type GivenFile = {
  name: string;
  text: string | undefined;
  /** the last line of the whole file; undefined when that is not known */
  lastLine: number | undefined;
};

export type EvaluationInput = {
  answer: string;
  finishReason: FinishReason;
  exitReason: ExitReason;
  constraints: Constraint[];
  responseFormat: ResponseFormat;
  message: string;
  reading: Pick<Reading, 'intent' | 'language' | 'questions'>;
  /** what was said before, in order */
  history: readonly Message[];
  files: readonly GivenFile[];
  hasImages: boolean;
  /** what the model was told by us; '' when nothing */
  systemPrompt: string;
  /** what the loop added to the conversation but the answer: tool calls and their results */
  turns: readonly Message[];
};

export function passed(name: string, detail: string): Finding {
  return { name, passed: true, detail, advice: '' };
}

export function failed(name: string, detail: string, advice: string): Finding {
  return { name, passed: false, detail, advice };
}

/** A part of a text for a detail or an advice, on one line. */
export function excerpt(text: string, most = 80): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= most ? line : `${line.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** A text without its fenced blocks of code. */
export function withoutFences(text: string): string {
  return text.replace(
    /^([ \t]{0,8})(`{3,12}|~{3,12})[^`\n]{0,200}\n[\s\S]*?(?:^[ \t]{0,8}\2|(?![\s\S]))/gm,
    '\n',
  );
}

/** The running text of an answer: without code, quoted lines, tables and links, which may be in any language. */
export function proseOf(answer: string): string {
  return withoutFences(answer)
    .replace(/`[^`\n]{1,400}`/g, ' ')
    .replace(/^\s{0,8}[>|].{0,4000}$/gm, ' ')
    .replace(/https?:\/\/\S{1,2000}/g, ' ');
}

/** Lower case without accents, so that words can be compared. */
export function folded(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
