import type { Counted, Demands } from './demands.js';
import type { Facts } from './facts.js';
import { fillUp } from './fill-up.js';
import { keepsLimits, measure } from './measure.js';
import { type Body, render } from './render.js';

/** The facts in the form that is asked for: what must be there, then what fits, then what is missing in length. */
export function composeAnswer(facts: Facts, demands: Demands): string {
  const lead: Body = facts.lead.map(() => []);
  const intro: string[] = [];
  const items: Body = facts.items.map(() => []);
  const body: Body = [...lead, intro, ...items, requiredSentences(demands)];
  addAll(
    lead,
    facts.lead.map((sentence) => [sentence]),
    body,
    demands,
  );
  facts.intros.some((sentences) => addWhenFits(intro, sentences, body, demands));
  addAll(items, facts.items, body, demands);
  fillUp(body, facts.phrases, demands);
  if (body.flat().length === 0) body.push(['Demo.']);
  return render(body, demands);
}

function addAll(paragraphs: Body, sentences: Body, body: Body, demands: Demands): void {
  for (const [index, paragraph] of paragraphs.entries()) {
    for (const sentence of sentences[index] ?? []) addWhenFits(paragraph, [sentence], body, demands);
  }
}

function addWhenFits(paragraph: string[], sentences: string[], body: Body, demands: Demands): boolean {
  const before = paragraph.length;
  paragraph.push(...(demands.isConstrained ? sentences.map(oneLine) : sentences));
  if (!demands.isConstrained || fits(body, demands)) return true;
  paragraph.length = before;
  return false;
}

function fits(body: Body, demands: Demands): boolean {
  const text = render(copy(body), demands);
  if (!keepsLimits(text, demands)) return false;
  if (demands.words.maximum === Number.POSITIVE_INFINITY) return true;
  const { mostWords, fewestSentences } = measure(text);
  const missing = Math.max(0, demands.sentences.minimum - fewestSentences);
  return mostWords + missing * wordsKept <= demands.words.maximum;
}

function copy(body: Body): Body {
  return body.map((sentences) => [...sentences]);
}

function oneLine(sentence: string): string {
  return sentence
    .split('\n')
    .map((line) => line.trim())
    .join(' ');
}

const placeholderNames = ['name', 'date', 'place', 'subject', 'address'];
const capitals = ['DEMO', 'MODEL', 'PROGRAM', 'SERVICE', 'ANSWER', 'TEXT'];
const mostRepeats = 500;
/** room kept for each sentence that is still to come */
const wordsKept = 3;

function requiredSentences(demands: Demands): string[] {
  const { keywords, frequencies, letters, capitalWords, highlights, placeholders } = demands;
  const sentences = frequencies.flatMap((counted) => repeated('Word', ' ', counted));
  sentences.push(...letters.flatMap((counted) => repeated('Letter', '', counted)));
  if (keywords.length > 0) sentences.push(`You asked for: ${joined(keywords)}.`);
  if (capitalWords.minimum > 0)
    sentences.push(`In capitals: ${names(capitals, capitalWords.minimum).join(' ')}.`);
  if (highlights > 0)
    sentences.push(`Highlighted: ${joined(numbers(highlights).map((n) => `*point ${n}*`))}.`);
  if (placeholders > 0) {
    sentences.push(`Fill in ${joined(names(placeholderNames, placeholders).map((name) => `[${name}]`))}.`);
  }
  return sentences;
}

function repeated(label: string, gap: string, { text, range }: Counted): string[] {
  const count = Math.min(range.minimum, mostRepeats);
  return count > 0 ? [`${label} asked for: ${Array.from({ length: count }, () => text).join(gap)}.`] : [];
}

function names(list: string[], count: number): string[] {
  return numbers(Math.min(count, mostRepeats)).map((n) => {
    const name = list[(n - 1) % list.length] ?? '';
    return n <= list.length ? name : `${name}${Math.ceil(n / list.length)}`;
  });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function joined(list: string[]): string {
  return list.length < 2 ? list.join('') : `${list.slice(0, -1).join(', ')} and ${list.at(-1)}`;
}
