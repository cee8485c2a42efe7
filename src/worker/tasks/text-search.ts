import { progress, TaskRefusal, type TaskWork } from './task.js';
import type { SearchPayload } from './task-types.js';

type Line = { document: number; line: number; words: string[] };
type Match = { document: string; line: number; text: string; score: number };

const countingEnds = 0.5;
const linesPerStep = 5_000;
const shownLength = 400;
/** of BM25: how fast repetition stops to count, and how much long lines lose */
const saturation = 1.2;
const lengthLoss = 0.75;
/** for a word that only begins with the one asked for */
const prefixWeight = 0.4;
const shortestPrefix = 4;
const phraseWeight = 2;

/** Ranks the lines of documents by how well they answer a query (BM25; phrases in quotes are required). */
export async function* searchText({ documents, query, max_results = 10 }: SearchPayload): TaskWork {
  const terms = [...new Set(toWords(query))];
  const phrases = [...query.matchAll(/["“”]([^"“”]+)["“”]/g)].map((match) =>
    toWords(match[1] ?? '').join(' '),
  );
  if (terms.length === 0) throw new TaskRefusal('The query holds no word to look for.');
  const matching = new Map(terms.map((term) => [term, 0]));
  const lines: Line[] = [];
  let lineCount = 0;
  let wordCount = 0;
  yield progress(0, `Searching ${documents.length} documents`);
  for (const [index, { text }] of documents.entries()) {
    for (const [number, content] of text.split(/\r\n|\n|\r/).entries()) {
      const words = toWords(content);
      lineCount += 1;
      wordCount += words.length;
      if (lineCount % linesPerStep === 0) {
        yield progress((countingEnds * index) / documents.length, `Searching ${documents.length} documents`);
      }
      const found = terms.filter((term) => words.some((word) => weigh(word, term) > 0));
      if (found.length === 0 || !hasPhrases(words, phrases)) continue;
      for (const term of found) matching.set(term, (matching.get(term) ?? 0) + 1);
      lines.push({ document: index, line: number + 1, words });
    }
  }
  yield progress(countingEnds, `Ranking ${lines.length} lines`);
  const meanLength = wordCount / Math.max(lineCount, 1);
  const weights = terms.map((term) => ({ term, rarity: rarityOf(matching.get(term) ?? 0, lineCount) }));
  const scored: { line: Line; score: number }[] = [];
  for (const line of lines) {
    const score = scoreOf(line.words, weights, meanLength);
    scored.push({ line, score: hasPhrases(line.words, [terms.join(' ')]) ? score * phraseWeight : score });
    if (scored.length % linesPerStep === 0) {
      yield progress(
        countingEnds + ((1 - countingEnds) * scored.length) / lines.length,
        `Ranking ${lines.length} lines`,
      );
    }
  }
  // a stable sort: equals stay in the order of the documents
  scored.sort((a, b) => b.score - a.score);
  const matches = scored.slice(0, max_results).map(({ line, score }): Match => {
    const document = documents[line.document];
    const content = document?.text.split(/\r\n|\n|\r/, line.line)[line.line - 1] ?? '';
    return {
      document: document?.name ?? '',
      line: line.line,
      text: cut(content.trim(), terms),
      score: Number(score.toFixed(3)),
    };
  });
  return { query, documents: documents.length, lines: lineCount, total_matches: lines.length, matches };
}

/** Words in lower case without accents. */
function toWords(text: string): string[] {
  return (
    text
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .match(/[\p{L}\p{N}_]+/gu) ?? []
  );
}

function weigh(word: string, term: string): number {
  if (word === term) return 1;
  return term.length >= shortestPrefix && word.startsWith(term) ? prefixWeight : 0;
}

function hasPhrases(words: string[], phrases: string[]): boolean {
  if (phrases.length === 0) return true;
  const text = ` ${words.join(' ')} `;
  return phrases.every((phrase) => text.includes(` ${phrase} `));
}

const rarityOf = (matching: number, lines: number) =>
  Math.log(1 + (lines - matching + 0.5) / (matching + 0.5));

function scoreOf(words: string[], weights: { term: string; rarity: number }[], meanLength: number): number {
  const length = 1 - lengthLoss + (lengthLoss * words.length) / Math.max(meanLength, 1);
  let score = 0;
  for (const { term, rarity } of weights) {
    const frequency = words.reduce((sum, word) => sum + weigh(word, term), 0);
    score += (rarity * frequency * (saturation + 1)) / (frequency + saturation * length);
  }
  return score;
}

/** A long line is cut to what is around the first hit. */
function cut(text: string, terms: string[]): string {
  if (text.length <= shownLength) return text;
  const places = terms.map((term) => text.toLowerCase().indexOf(term)).filter((place) => place >= 0);
  const start = Math.max(0, Math.min(...places, text.length) - shownLength / 4);
  const end = Math.min(text.length, start + shownLength);
  const shown = text.slice(start, end).toWellFormed();
  return `${start > 0 ? '…' : ''}${shown}${end < text.length ? '…' : ''}`;
}
