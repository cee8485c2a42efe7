import { composeAnswer } from './compose.js';
import { gatherFacts } from './facts.js';
import type { Turn } from './read-turn.js';
import { schemaInstance } from './schema-instance.js';

/** The whole answer to a turn; it starts with what was already written. */
export function answerText(turn: Turn): string {
  const answer = fullAnswer(turn);
  if (answer.startsWith(turn.written)) return answer;
  return `${turn.written}\n\n[The demo model can only continue its own answers.]`;
}

function fullAnswer(turn: Turn): string {
  const format = turn.responseFormat;
  const text = composeAnswer(gatherFacts(turn), turn.demands);
  if (format.type === 'json_schema') return JSON.stringify(schemaInstance(format.schema, text));
  return turn.demands.isJson ? jsonAnswer(text, turn) : text;
}

/** One key needs no comma, and a text in double quotes is a JSON value too. */
function jsonAnswer(text: string, { demands, responseFormat }: Turn): string {
  const { jsonKeys, isQuoted } = demands;
  if (isQuoted && jsonKeys.length === 0 && responseFormat.type === 'text') return JSON.stringify(text);
  const [first = 'answer', ...others] = jsonKeys;
  return JSON.stringify(Object.fromEntries([[first, text], ...others.map((key) => [key, 'demo'])]));
}
