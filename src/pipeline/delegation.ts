import type { Tool } from '../tools/tool.js';

/** The tools that are workers: whole agents of their own, and not functions. */
const workerPrefix = 'worker__';
/** Words of a description that the message must hold when it does not name the work itself. */
const leastSharedWords = 3;
const shortestWord = 4;

/** Words that many requests and many descriptions have in common. */
const commonWords = new Set(
  `about also answer before between each every find finds from give given gives have into know
  like list make many more most need only other over same show shows some such than that their
  them then there these they this those time tool type under used uses using what when where
  which while with without work your`.split(/\s+/),
);
/** What is asked stands at the start of a message or at its end; in between there may be a megabyte of data. */
const readChars = 4_000;

/** The workers on offer that do what the message asks for: it names their work, or has much in common with its description. */
export function matchWorkers(message: string, tools: readonly Tool[]): string[] {
  const workers = tools.filter(({ name }) => name.startsWith(workerPrefix));
  if (workers.length === 0) return [];
  const ends = message.length <= 2 * readChars ? message : endsOf(message);
  const said = new Set(stemsOf(ends));
  return workers.filter((worker) => isMatch(said, worker)).map(({ name }) => name);
}

const endsOf = (text: string) => `${text.slice(0, readChars)} ${text.slice(-readChars)}`;

function isMatch(said: ReadonlySet<string>, { name, description }: Tool): boolean {
  const work = stemsOf(name.slice(workerPrefix.length).replaceAll('_', ' '));
  if (work.length > 0 && work.every((stem) => said.has(stem))) return true;
  const shared = new Set(stemsOf(description).filter((stem) => said.has(stem)));
  return shared.size >= leastSharedWords;
}

/** Words without the endings by which "analyse", "analysis" and "analysing" differ. */
function stemsOf(text: string): string[] {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return words
    .filter((word) => word.length >= shortestWord && !commonWords.has(word))
    .map((word) => word.replace(/(?<=.{3})(ing|ed|es|is|s|e)$/u, '').replace(/(?<=.{4})yz$/u, 'ys'));
}
