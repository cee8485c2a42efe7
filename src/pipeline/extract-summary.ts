import { type Message, textOf } from '../core/message.js';
import { countTokens } from '../llm/tokens.js';
import { isSummary, summarizedIn } from './compaction.js';
import { termsOf } from './relevance.js';
import { splitSentences } from './text.js';

type Sentence = { line: string; score: number; order: number };

const maxMessageChars = 8_000;
const maxSentenceChars = 300;
const maxSentences = 2_000;
/** Sentences that say less are not worth the room while there are others. */
const leastScore = 1;

/** Words by which people settle, want or regret something. */
const decision =
  /\b(?:decid|agree|chose|choose|settle|will use|we use|must|need to|have to|should|important|remember|note that|always|never|prefer|my name|i am|i'm|deadline|budget|because|therefore|result|conclu|fix(?:ed)?|fail|error|entschied|beschlossen|vereinbart|wichtig|muss|soll|heiße|decid|acord|importante|debe|prefiero|llamo|décid|convenu|important|doit|préfère|appelle)/iu;
const identifier = /`[^`]+`|\b[\w-]+\.[a-z]{1,5}\b|https?:\/\/|\b[A-Z][a-z]+[A-Z]\w*/;
const name = /(?<=\p{L},? )\p{Lu}\p{L}{2,}/gu;

/**
 * A summary without a model: the sentences that tell most, in their order and in the words they were said in. The same
 * messages always give the same summary.
 */
export function extractSummary(messages: readonly Message[], mostTokens: number): string {
  const sentences = messages.flatMap((message, index) => sentencesOf(message, index, messages.length));
  const telling = sentences.filter(({ score }) => score >= leastScore);
  const ranked = (telling.length > 0 ? telling : sentences)
    .slice(0, maxSentences)
    .map((sentence, order) => ({ ...sentence, order }))
    .sort((one, two) => two.score - one.score || two.order - one.order);
  const chosen: Sentence[] = [];
  const seen = new Set<string>();
  let left = mostTokens;
  for (const sentence of ranked) {
    const tokens = countTokens(`${sentence.line}\n`);
    if (tokens > left || seen.has(sentence.line)) continue;
    seen.add(sentence.line);
    left -= tokens;
    chosen.push(sentence);
  }
  return chosen
    .sort((one, two) => one.order - two.order)
    .map(({ line }) => line)
    .join('\n');
}

function sentencesOf(message: Message, index: number, count: number): Omit<Sentence, 'order'>[] {
  if (isSummary(message)) {
    // what was worth keeping once still is
    return summarizedIn(message)
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => ({ line: line.slice(0, maxSentenceChars), score: 4 + worth(line) }));
  }
  const speaker = speakers[message.role];
  const text = textOf(message.content).slice(0, maxMessageChars);
  // the first message mostly says what it is all about, and the last ones what is still open
  const place = index === 0 ? 3 : index / count;
  const bySpeaker = message.role === 'user' ? 1 : message.role === 'toolResult' ? -1 : 0;
  return splitSentences(text).map((sentence, position) => ({
    line: `- ${speaker}: ${clip(sentence.replace(/\s+/g, ' '))}`,
    score: worth(sentence) + place + bySpeaker + (position === 0 ? 1 : 0),
  }));
}

const speakers = { system: 'System', user: 'User', assistant: 'Assistant', toolResult: 'Tool' } as const;

const clip = (text: string) =>
  text.length <= maxSentenceChars ? text : `${text.slice(0, maxSentenceChars - 1).trimEnd()}…`;

/** Numbers, names, decisions and open questions tell more than other words. */
function worth(sentence: string): number {
  const text = sentence.slice(0, maxSentenceChars);
  const words = termsOf(text).length;
  const numbers = Math.min(2, text.match(/\d+/g)?.length ?? 0);
  const names = Math.min(2, text.match(name)?.length ?? 0);
  return (
    1.5 * numbers +
    names +
    (decision.test(text) ? 2.5 : 0) +
    (identifier.test(text) ? 1.5 : 0) +
    (text.endsWith('?') ? 1 : 0) -
    (words < 4 ? 2 : 0) -
    (words > 40 ? 1 : 0)
  );
}
