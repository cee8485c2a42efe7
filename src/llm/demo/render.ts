import type { Demands } from './demands.js';
import { keepsLimits } from './measure.js';

/** Sentences in natural paragraphs. */
export type Body = string[][];

/** Gives the sentences the form that is asked for: paragraphs, sections, lists, frame, case. */
export function render(body: Body, demands: Demands): string {
  const framed = frame(layOut(body, demands), demands);
  const plain = withoutCharacters(framed, demands);
  const text = inCase(demands.repeated === '' ? plain : `${demands.repeated}\n\n${plain}`, demands);
  return demands.isQuoted && !demands.isJson ? `"${text.replaceAll('"', "'")}"` : text;
}

/** How many sentences the form needs to have one for each of its parts. */
export function partsWanted(demands: Demands): number {
  return groupCount(demands) + demands.list.count;
}

/** The first text that meets the limits, so that a title or postscript breaks no other demand. */
function firstAllowed(candidates: string[], demands: Demands): string {
  return candidates.find((text) => keepsLimits(text, demands)) ?? candidates.at(-1) ?? '';
}

function layOut(body: Body, demands: Demands): string {
  const paragraphs = body.filter((sentences) => sentences.length > 0);
  const items = takeItems(paragraphs, demands.list.count);
  const count = groupCount(demands);
  const blocks = [...listBlock(items, demands), ...extraBlocks(demands)];
  if (count > 0) return joinGroups(evenGroups(paragraphs.flat(), count), blocks, demands);
  const texts = paragraphs
    .filter((sentences) => sentences.length > 0)
    .map((sentences) => sentences.join(' '));
  return [...texts, ...blocks].join('\n\n');
}

function groupCount({ paragraphs, sections, hasTwoResponses, lines }: Demands): number {
  return Math.max(paragraphs, sections.count, hasTwoResponses ? 2 : 0, Math.min(lines.minimum, 500));
}

/** Takes the last sentences for the list, but leaves one to stand before it. */
function takeItems(paragraphs: Body, count: number): string[] {
  const items: string[] = [];
  let left = paragraphs.flat().length;
  for (const sentences of paragraphs.toReversed()) {
    while (sentences.length > 0 && items.length < count && left > 1) {
      items.unshift(sentences.pop() ?? '');
      left--;
    }
  }
  while (items.length < count) items.push(`Point ${items.length + 1}`);
  return items;
}

function listBlock(items: string[], { list }: Demands): string[] {
  if (items.length === 0) return [];
  return [items.map((item, index) => `${list.isNumbered ? `${index + 1}.` : '*'} ${item}`).join('\n')];
}

function extraBlocks({ hasTable, hasCode, codeLanguage }: Demands): string[] {
  const table = '| Part | Value |\n| --- | --- |\n| Model | demo |';
  const code = `\`\`\`${codeLanguage.replace(/[^\w+#-]/g, '')}\ndemo\n\`\`\``;
  return [...(hasTable ? [table] : []), ...(hasCode ? [code] : [])];
}

function evenGroups(sentences: string[], count: number): string[][] {
  return Array.from({ length: count }, (_, index) => {
    const start = Math.floor((index * sentences.length) / count);
    const group = sentences.slice(start, Math.floor(((index + 1) * sentences.length) / count));
    return group.length > 0 ? group : [`Part ${index + 1}.`];
  });
}

function joinGroups(groups: string[][], blocks: string[], demands: Demands): string {
  const { sections, openings } = demands;
  const texts = groups.map((sentences, index) => {
    const opening = openings.find(({ paragraph }) => paragraph === index + 1);
    const text = [...(opening ? [openingSentence(opening.word)] : []), ...sentences].join(' ');
    return index < sections.count ? `${sections.heading} ${index + 1}\n${text}` : text;
  });
  const gap = smallGap(demands);
  return (
    texts.reduce((joined, text, index) => joined + divider(index, demands) + text) +
    blocks.map((block) => gap + block).join('')
  );
}

function openingSentence(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)} is the first word here because you asked for it.`;
}

function divider(index: number, demands: Demands): string {
  if (demands.hasTwoResponses && index === 1) return '\n\n******\n\n';
  return index < demands.paragraphs ? demands.paragraphDivider : smallGap(demands);
}

/** An empty line would start a paragraph where their number is given. */
function smallGap({ paragraphs, lines }: Demands): string {
  return paragraphs > 0 || lines.minimum > 0 ? '\n' : '\n\n';
}

function frame(text: string, demands: Demands): string {
  const { beginning, hasTitle, openings, postscript, ending } = demands;
  const title = hasTitle ? [`<<${firstAllowed(['Demo answer', 'Answer', 'Title'], demands)}>>`] : [];
  const head = openings.length === 0 ? title : [];
  const foot = openings.length === 0 ? [] : title;
  const note = firstAllowed(['This comes from a demo.', 'No AI.', 'Mock.'], demands);
  const lines = [
    ...head,
    text,
    ...foot,
    ...(postscript ? [`${postscript} ${note}`] : []),
    ...(ending ? [ending] : []),
  ];
  const joined = lines.join(smallGap(demands));
  return beginning === '' ? joined : `${beginning}${/[\p{L}\p{N},]$/u.test(beginning) ? ':' : ''} ${joined}`;
}

function withoutCharacters(text: string, { forbiddenCharacters }: Demands): string {
  return forbiddenCharacters.reduce((left, character) => left.replaceAll(character, ''), text);
}

function inCase(text: string, { letterCase }: Demands): string {
  if (letterCase === 'lower') return text.toLowerCase();
  return letterCase === 'upper' ? text.toUpperCase() : text;
}
