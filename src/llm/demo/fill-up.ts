import type { Demands } from './demands.js';
import { keepsLimits, measure } from './measure.js';
import type { Phrases } from './phrases.js';
import { type Body, partsWanted, render } from './render.js';

const mostRounds = 6;
/** more than the model may put out */
const mostSentences = 600;
const mostRejected = 60;
const paragraphLength = 6;

type NextFiller = (mostWords: number) => string | undefined;
type Need = { words: number; sentences: number; roomForWords: number; roomForSentences: number };

/** Adds sentences to the end of the body until every lower bound is met, as far as the upper ones allow. */
export function fillUp(body: Body, phrases: Phrases, demands: Demands): void {
  if (!demands.isConstrained) return;
  const filler: Body = [];
  const next = fillerSource(phrases, demands);
  for (let round = 0; round < mostRounds; round++) {
    const need = needOf([...body, ...filler], demands);
    if (need.words <= 0 && need.sentences <= 0) break;
    if (!addSentences(body, filler, need, next)) break;
  }
  body.push(...filler);
}

function needOf(body: Body, demands: Demands): Need {
  const text = render(
    body.map((sentences) => [...sentences]),
    demands,
  );
  const size = measure(text);
  const { words, sentences, characters } = demands;
  const missingCharacters = characters.minimum - text.length;
  return {
    words: Math.max(words.minimum - size.fewestWords, Math.ceil(missingCharacters / 5)),
    sentences: Math.max(sentences.minimum - size.fewestSentences, partsWanted(demands) - body.flat().length),
    roomForWords: words.maximum - size.mostWords,
    roomForSentences: sentences.maximum - size.mostSentences,
  };
}

function addSentences(body: Body, filler: Body, need: Need, next: NextFiller): boolean {
  let { words, sentences, roomForWords, roomForSentences } = need;
  let isAdded = false;
  while (words > 0 || (sentences > 0 && roomForSentences > 0)) {
    const sentence = next(Math.floor(roomForWords / Math.max(1, sentences)));
    if (sentence === undefined) break;
    if (roomForSentences > 0) append(filler, sentence);
    else if (!extend([...body, ...filler], sentence)) break;
    const size = measure(sentence);
    words -= size.fewestWords;
    roomForWords -= size.mostWords;
    sentences--;
    roomForSentences--;
    isAdded = true;
  }
  return isAdded;
}

function append(filler: Body, sentence: string): void {
  const last = filler.at(-1);
  if (last !== undefined && last.length < paragraphLength) last.push(sentence);
  else filler.push([sentence]);
}

/** Lengthens the last sentence where no further one is allowed. */
function extend(body: Body, sentence: string): boolean {
  const paragraph = body.findLast((sentences) => sentences.length > 0);
  const last = paragraph?.pop();
  if (paragraph === undefined || last === undefined) return false;
  paragraph.push(`${last.replace(/[.!?]$/, '')}; ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`);
  return true;
}

/** Gives fillers one after the other, each of at most so many words, that break no limit on their own. */
function fillerSource(phrases: Phrases, demands: Demands): NextFiller {
  const limits = { ...demands, words: noLimit, sentences: noLimit, characters: noLimit, lines: noLimit };
  limits.frequencies = demands.frequencies.map(({ text }) => ({ text, range: none(demands, text) }));
  limits.letters = demands.letters.map(({ text }) => ({ text, range: none(demands, text) }));
  let index = 0;
  let given = 0;
  let rejected = 0;
  return (mostWords) => {
    while (given < mostSentences && rejected < mostRejected && mostWords > 0) {
      const sentence = phrases.filler(index++);
      const fitting =
        measure(sentence).mostWords <= mostWords
          ? sentence
          : phrases.short.at(Math.min(mostWords, phrases.short.length) - 1);
      if (fitting !== undefined && keepsLimits(fitting, limits)) {
        given++;
        return fitting;
      }
      rejected++;
    }
    return undefined;
  };
}

const noLimit = { minimum: 0, maximum: Number.POSITIVE_INFINITY };

/** A filler may hold nothing of what may not come often; of the rest, anything. */
function none({ frequencies, letters }: Demands, text: string): { minimum: number; maximum: number } {
  const isBounded = [...frequencies, ...letters].some(
    (counted) => counted.text === text && counted.range.maximum < Number.POSITIVE_INFINITY,
  );
  return isBounded ? { minimum: 0, maximum: 0 } : noLimit;
}
