import { type Message, type TextContent, textOf } from '../core/message.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { isSummary } from './compaction.js';
import { rankByRelevance } from './relevance.js';
import { shorten } from './shorten.js';

/** Messages that only make sense together: what one side said and all that followed until it spoke again. */
export type Turn = { messages: Message[] };

type FittedHistory = {
  messages: Message[];
  tokens: number;
  /** what is not in it, in words */
  leftOut: string[];
};

/** The newest turns stay as long as they fit, however little they have to do with the message. */
export const newestTurns = 2;
/** The most that turns which are summarised already may take of the room. */
const recalledShare = 1 / 4;
/** Tokens to which long tool results are cut, one after the other until all fits. */
const resultCaps = [2000, 500, 125];
/** Tokens to which the texts of the newest turn are cut when nothing else helps. */
const textCaps = [2000, 500, 125, 30];

/** A turn begins with each message that is neither an answer nor a tool's result. */
export function toTurns(history: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  for (const message of history) {
    const last = turns.at(-1);
    const isReply = message.role === 'assistant' || message.role === 'toolResult';
    if (isReply && last && last.messages[0]?.role !== 'system') last.messages.push(message);
    else turns.push({ messages: [message] });
  }
  return turns;
}

export const tokensOf = ({ messages }: Turn) => countMessagesTokens(messages, []);

/**
 * What of a history fits into so many tokens: everything; else with long tool results cut; else the newest turns,
 * instructions and an earlier summary, and of the others those that fit the question best. `recalled` are older turns that
 * a summary stands for: they come in again, after it, when they are to the point and there is room.
 */
export function fitHistory(
  history: readonly Message[],
  room: number,
  question: string,
  recalled: readonly Message[] = [],
): FittedHistory {
  const whole = countMessagesTokens(history, []);
  if (whole <= room && recalled.length === 0) return { messages: [...history], tokens: whole, leftOut: [] };
  const { turns, shortened } = shortenResults(toTurns(history), room);
  const old = toTurns(recalled).filter((turn) => !isSummary(turn.messages[0]));
  const kept = chooseTurns(turns, old, room, question);
  const messages = [...turns.filter(isLeading), ...old, ...turns.filter((turn) => !isLeading(turn))].flatMap(
    (turn) => kept.get(turn) ?? [],
  );
  return {
    messages,
    tokens: countMessagesTokens(messages, []),
    leftOut: describe(turns, kept, shortened),
  };
}

const isLeading = ({ messages: [first] }: Turn) => isSummary(first);
const isInstruction = ({ messages: [first] }: Turn) => first?.role === 'system' || isSummary(first);

/** Whole turns in the order of their worth while they fit; of the newest one, as much as fits. */
function chooseTurns(
  turns: readonly Turn[],
  recalled: readonly Turn[],
  room: number,
  question: string,
): Map<Turn, Message[]> {
  const kept = new Map<Turn, Message[]>();
  let left = room;
  const take = (turn: Turn, messages = turn.messages): void => {
    const tokens = countMessagesTokens(messages, []);
    if (messages.length === 0 || tokens > left) return;
    left -= tokens;
    kept.set(turn, messages);
  };
  const spoken = turns.filter((turn) => !isInstruction(turn));
  const newest = spoken.slice(-newestTurns).reverse();
  for (const turn of newest) {
    take(turn);
    if (!kept.has(turn) && turn === newest[0]) take(turn, fitTurn(turn, left));
  }
  for (const turn of turns.filter(isInstruction)) take(turn);
  const older = [...recalled, ...spoken.slice(0, -newestTurns)];
  const scores = rankByRelevance(question, older.map(textOfTurn));
  const ranked = older
    .map((turn, index) => ({ turn, index, score: scores[index] ?? 0, isRecalled: index < recalled.length }))
    .filter(({ score, isRecalled }) => !isRecalled || score > 0)
    .sort((one, two) => two.score - one.score || two.index - one.index);
  let forRecalled = room * recalledShare;
  for (const { turn, isRecalled } of ranked) {
    if (!isRecalled) take(turn);
    else if (tokensOf(turn) <= forRecalled) {
      forRecalled -= tokensOf(turn);
      take(turn);
    }
  }
  return kept;
}

function textOfTurn({ messages }: Turn): string {
  return messages.map((message) => textOf(message.content)).join('\n');
}

/** Cuts long tool results only as far as needed for everything to fit, or as far as they can be. */
function shortenResults(turns: Turn[], room: number): { turns: Turn[]; shortened: number } {
  let current = turns;
  let shortened = 0;
  for (const cap of resultCaps) {
    if (current.reduce((total, turn) => total + tokensOf(turn), 0) <= room) break;
    shortened = 0;
    current = turns.map(({ messages }) => ({
      messages: messages.map((message) => {
        const shorter = message.role === 'toolResult' ? shortenMessage(message, cap) : message;
        if (shorter !== message) shortened += 1;
        return shorter;
      }),
    }));
  }
  return { turns: current, shortened };
}

const imageNote: TextContent = { type: 'text', text: '[an image, left out]' };

/** For a model that does not see. */
export function withoutImages(history: readonly Message[]): Message[] {
  return history.map((message) => {
    if (message.role !== 'user' && message.role !== 'toolResult') return message;
    if (typeof message.content === 'string' || message.content.every(({ type }) => type === 'text'))
      return message;
    const content = message.content.map((block) => (block.type === 'image' ? imageNote : block));
    return { ...message, content };
  });
}

/** A message with its texts cut to so many tokens each; the same one when they are that short already. */
export function shortenMessage(message: Message, cap: number): Message {
  if (message.role === 'system') return message;
  if (typeof message.content === 'string') {
    const text = shorten(message.content, cap);
    return text === message.content ? message : ({ ...message, content: text } as Message);
  }
  const content = message.content.map((block) => {
    if (block.type === 'image') return imageNote;
    return block.type === 'text' ? { ...block, text: shorten(block.text, cap) } : block;
  });
  const isSame = content.every(
    (block, index) => block.type === 'text' && block.text === textAt(message, index),
  );
  return isSame ? message : ({ ...message, content } as Message);
}

function textAt({ content }: Message, index: number): string | undefined {
  const block = typeof content === 'string' ? undefined : content[index];
  return block?.type === 'text' ? block.text : undefined;
}

/** A turn in at most so many tokens: with its texts cut, else only its end; a tool call stays with its results. */
function fitTurn(turn: Turn, room: number): Message[] {
  for (const cap of textCaps) {
    const messages = turn.messages.map((message) => shortenMessage(message, cap));
    if (countMessagesTokens(messages, []) <= room) return messages;
  }
  const last = turn.messages.at(-1);
  if (last?.role !== 'assistant' || last.content.some(({ type }) => type === 'toolCall')) return [];
  const shortest = shortenMessage(last, textCaps.at(-1) ?? 0);
  return countMessagesTokens([shortest], []) <= room ? [shortest] : [];
}

function describe(turns: readonly Turn[], kept: ReadonlyMap<Turn, Message[]>, shortened: number): string[] {
  const total = turns.reduce((count, turn) => count + turn.messages.length, 0);
  const staying = turns.reduce((count, turn) => count + (kept.get(turn)?.length ?? 0), 0);
  const words: string[] = [];
  const dropped = total - staying;
  if (dropped > 0) words.push(`${dropped} older message${dropped === 1 ? '' : 's'} of the history`);
  const cut = turns.reduce((count, turn) => count + cutIn(turn, kept.get(turn) ?? []), 0);
  if (cut > 0) words.push(`the middle of ${cut} long message${cut === 1 ? '' : 's'} of the history`);
  if (shortened > 0) words.push(`the middle of ${shortened} long tool result${shortened === 1 ? '' : 's'}`);
  return words;
}

const cutIn = (turn: Turn, kept: readonly Message[]) =>
  kept.filter((message) => !turn.messages.includes(message)).length;
