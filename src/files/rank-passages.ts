import { cutPassages, pageMark, type Stretch, textOfStretch } from './cut-passages.js';
import type { Query, Term } from './query.js';
import type { FileBody, Passage } from './text-file.js';

/** Characters of all passages together. */
const mostCharacters = 1024 * 1024;
/** BM25: how soon further finds of a term add little, and how much a long passage is held back. */
const saturation = 1.2;
const lengthWeight = 0.5;
const mostFinds = 15;
/** What a passage gets from the better one of its neighbours: an answer often stands just behind what was found. */
const neighbourShare = 0.15;
/** What is asked for by its number comes first. */
const placeScore = 1000;

export type Ranking = {
  query: Query;
  lineStart: number;
  lineEnd: number;
  /** the lines that hold the asked rows of a table; a row that is not in it is a line */
  rowLines?: ReadonlyMap<number, number[]> | undefined;
};

/** The passages of the lines, those that fit the query best first, the rest in the order of the text. */
export function rankPassages(body: FileBody, ranking: Ranking): Passage[] {
  const stretches = cutPassages(body, ranking.lineStart, ranking.lineEnd);
  const scores = scoreStretches(body, stretches, ranking);
  const order = orderOf(scores);
  const passages: Passage[] = [];
  let characters = 0;
  for (const index of order) {
    const stretch = stretches[index] as Stretch;
    const text = textOfStretch(body, stretch);
    characters += text.length;
    if (characters > mostCharacters) break;
    const { lineStart, lineEnd, start } = stretch;
    const score = scores[index] ?? 0;
    const focus = score > 0 ? findFocus(text, lineStart, ranking) : lineStart;
    passages.push({ lineStart, lineEnd, text, score, start, focus });
  }
  return passages;
}

/** The asked line, or else the one with most of the terms. */
function findFocus(text: string, lineStart: number, ranking: Ranking): number {
  const lines = text.split('\n');
  const asked = askedLines(ranking).find(({ from }) => from >= lineStart && from < lineStart + lines.length);
  if (asked) return asked.from;
  let best = { line: lineStart, weight: 0 };
  for (const [index, line] of lines.entries()) {
    const lower = line.toLowerCase();
    const found = ranking.query.terms.filter((term) => countFinds(lower, line, term) > 0);
    const weight = found.reduce((sum, term) => sum + term.weight, 0);
    if (weight > best.weight) best = { line: lineStart + index, weight };
  }
  return best.line;
}

/** Passages of the beginning that come first when nothing tells them apart. */
const headPassages = 12;

/** The best first; behind them the beginning, then passages from all over the text, so that any part of them stands for it. */
function orderOf(scores: Float64Array): number[] {
  const matched: number[] = [];
  const rest: number[] = [];
  for (const [index, score] of scores.entries()) (score > 0 ? matched : rest).push(index);
  matched.sort((left, right) => (scores[right] ?? 0) - (scores[left] ?? 0) || left - right);
  if (rest.length <= 2 * headPassages) return [...matched, ...rest];
  const bits = Math.ceil(Math.log2(rest.length));
  const spread = (index: number) =>
    Number.parseInt(index.toString(2).padStart(bits, '0').split('').reverse().join(''), 2);
  const order = rest.map((_, index) => (index < headPassages ? -1 : spread(index)));
  const positions = rest.map((_, index) => index);
  positions.sort((left, right) => (order[left] ?? 0) - (order[right] ?? 0) || left - right);
  return [...matched, ...positions.map((position) => rest[position] as number)];
}

function scoreStretches(body: FileBody, stretches: Stretch[], ranking: Ranking): Float64Array {
  const { terms } = ranking.query;
  const finds = new Uint8Array(stretches.length * terms.length);
  const frequencies = new Uint32Array(terms.length);
  const asked = askedLines(ranking);
  const pages = ranking.query.places.filter(({ unit }) => unit === 'page');
  const scores = new Float64Array(stretches.length);
  let page = 0;
  for (const [index, stretch] of stretches.entries()) {
    const text = textOfStretch(body, stretch);
    const lower = text.toLowerCase();
    for (const [position, term] of terms.entries()) {
      const count = countFinds(lower, text, term);
      if (count === 0) continue;
      finds[index * terms.length + position] = count;
      frequencies[position] = (frequencies[position] ?? 0) + 1;
    }
    page = pageOf(text, page);
    if (pages.some(({ from, to }) => page >= from && page <= to)) scores[index] = placeScore;
    for (const { from, to } of asked) {
      if (stretch.lineEnd >= from && stretch.lineStart <= to) scores[index] = placeScore;
    }
  }
  addBm25(scores, stretches, terms, finds, frequencies);
  return withNeighbours(scores);
}

function pageOf(text: string, before: number): number {
  if (!text.startsWith('[page ')) return before;
  const end = text.indexOf('\n');
  return Number(pageMark.exec((end === -1 ? text : text.slice(0, end)).trim())?.[1] ?? before);
}

function askedLines({ query, rowLines }: Ranking): { from: number; to: number }[] {
  return query.places.flatMap(({ unit, from, to }) => {
    if (unit === 'line') return [{ from, to }];
    if (unit === 'page') return [];
    const lines = rowLines?.get(from);
    return lines ? lines.map((line) => ({ from: line, to: line + to - from })) : [{ from, to: to + 1 }];
  });
}

function addBm25(
  scores: Float64Array,
  stretches: Stretch[],
  terms: Term[],
  finds: Uint8Array,
  frequencies: Uint32Array,
): void {
  const total = stretches.length;
  const bytes = stretches.reduce((sum, { start, end }) => sum + end - start, 0);
  const averageBytes = bytes / Math.max(1, total);
  const weights = terms.map(({ weight }, position) => {
    const frequency = frequencies[position] ?? 0;
    return weight * Math.log(1 + (total - frequency + 0.5) / (frequency + 0.5));
  });
  for (const [index, { start, end }] of stretches.entries()) {
    const length = 1 - lengthWeight + (lengthWeight * (end - start)) / averageBytes;
    let score = 0;
    for (let position = 0; position < terms.length; position += 1) {
      const count = finds[index * terms.length + position] ?? 0;
      if (count === 0) continue;
      score += ((weights[position] ?? 0) * count * (saturation + 1)) / (count + saturation * length);
    }
    scores[index] = (scores[index] ?? 0) + score;
  }
}

function withNeighbours(scores: Float64Array): Float64Array {
  return scores.map(
    (score, index) => score + neighbourShare * Math.max(scores[index - 1] ?? 0, scores[index + 1] ?? 0),
  );
}

function countFinds(lower: string, text: string, term: Term): number {
  let count = 0;
  let index = lower.indexOf(term.text);
  while (index !== -1 && count < mostFinds) {
    if (isFind(lower, text, index, term)) count += 1;
    index = lower.indexOf(term.text, index + term.text.length);
  }
  return count;
}

const isDigit = (unit: number) => unit >= 48 && unit <= 57;

function isFind(lower: string, text: string, index: number, term: Term): boolean {
  if (term.match === 'phrase' || term.match === 'anywhere') return true;
  const end = index + term.text.length;
  if (term.match === 'number') {
    return !isDigit(lower.charCodeAt(index - 1)) && !isDigit(lower.charCodeAt(end));
  }
  return (
    isWordStart(lower, text, index) && (term.match === 'stem' || !isWordUnit(lower, end) || isHump(text, end))
  );
}

function isWordStart(lower: string, text: string, index: number): boolean {
  if (!isWordUnit(lower, index - 1)) return true;
  // lower case may have other positions; then only the plain boundary counts
  return lower.length === text.length && isHump(text, index);
}

/** Where the next part of a camelCase name begins. */
function isHump(text: string, index: number): boolean {
  const unit = text.charAt(index);
  const before = text.charAt(index - 1);
  return unit !== unit.toLowerCase() && before === before.toLowerCase();
}

function isWordUnit(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  if (Number.isNaN(unit)) return false;
  if (unit < 128) return isDigit(unit) || (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90);
  return /[\p{L}\p{N}\p{M}]/u.test(text.charAt(index));
}

/** Passages are only worth the work when the text may not be sent whole. */
export const leastForPassages = 4000;
