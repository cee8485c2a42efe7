import { parseFault } from './faults.ts';
import type { ScriptedReply } from './reply.ts';
import { type ChatRequest, messageText } from './request.ts';

/** How unscripted requests are answered. */
export type ReplyDefaults = {
  /** length of the answer in tokens (deltas); absent: a short sentence that names the message */
  tokens?: number;
  delayMs?: number;
  fault?: string;
};

export const commandUsage = `  /tokens N   /delay MS   /fault FAULT   an answer of N deltas, MS between them, with a fault
  /wait MS                               a pause before the first token
  /say TEXT                              answer with the rest of the line
  /think TEXT                            reason with the rest of the line before the answer
  /tool NAME {JSON}                      call this tool`;

/** The deterministic answer to a request that no script expects; the last message may hold commands. */
export function replyTo(request: ChatRequest, defaults: ReplyDefaults): ScriptedReply {
  const last = request.messages.at(-1);
  const text = messageText(request.messages.findLast((message) => message.role === 'user'));
  const fault = argument(text, /(?:^|\s)\/fault\s+(\S+)/) ?? defaults.fault;
  const reasoning = argument(text, /(?:^|\s)\/think[ \t]+(.+)/);
  const firstDelayMs = numberArgument(text, 'wait');
  const settings: ScriptedReply = {
    delayMs: numberArgument(text, 'delay') ?? defaults.delayMs ?? 0,
    ...(firstDelayMs !== undefined && { firstDelayMs }),
    ...(fault !== undefined && { fault: parseFault(fault) }),
    ...(reasoning !== undefined && { reasoning }),
  };
  if (last?.role === 'tool') return { ...settings, text: `The tool answered: ${messageText(last)}` };
  const call = /(?:^|\s)\/tool[ \t]+(\S+)(?:[ \t]+(\{.*\}))?/.exec(text);
  if (call) {
    const id = `call_fake_${request.messages.length}`;
    return { ...settings, toolCalls: [{ id, name: call[1] ?? '', arguments: call[2] ?? '{}' }] };
  }
  return withinBudget({ ...settings, chunks: answerChunks(request, text, defaults) }, request);
}

function answerChunks(request: ChatRequest, text: string, defaults: ReplyDefaults): string[] {
  const said = argument(text, /(?:^|\s)\/say[ \t]+(.+)/);
  if (said !== undefined) return said.match(/\s*\S+/g) ?? [];
  const tokens = numberArgument(text, 'tokens') ?? defaults.tokens;
  if (tokens !== undefined) return prose(tokens);
  const answer = `This is the fake model. You said: ${text.slice(0, 200)}`;
  const format = request.response_format?.type ?? 'text';
  return format === 'text' ? (answer.match(/\s*\S+/g) ?? []) : [JSON.stringify({ answer })];
}

/** A model stops at max_tokens; so does this one. */
function withinBudget(reply: ScriptedReply, request: ChatRequest): ScriptedReply {
  const limit = request.max_completion_tokens ?? request.max_tokens;
  const chunks = reply.chunks ?? [];
  if (limit === undefined || limit === null || chunks.length <= limit) return reply;
  return { ...reply, chunks: chunks.slice(0, limit), finishReason: 'length' };
}

const words =
  'a stream carries small pieces of text from one place to another and each piece may arrive late or early while readers wait for more without losing their patience because order matters here'.split(
    ' ',
  );

/** `length` deltas of varied words in sentences; the same for the same length. */
function prose(length: number): string[] {
  let seed = 7;
  let startsSentence = true;
  return Array.from({ length }, (_, position) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const word = words[Math.floor((seed / 2147483648) * words.length)] ?? 'word';
    const endsSentence = position % 12 === 11 || position === length - 1;
    const cased = startsSentence ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    startsSentence = endsSentence;
    return `${position === 0 ? '' : ' '}${cased}${endsSentence ? '.' : ''}`;
  });
}

function argument(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1];
}

function numberArgument(text: string, name: string): number | undefined {
  const value = argument(text, new RegExp(`(?:^|\\s)/${name}\\s+(\\d+)`));
  return value === undefined ? undefined : Number(value);
}
