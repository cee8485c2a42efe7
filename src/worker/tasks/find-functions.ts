import type { Language } from './languages.js';

export type FoundFunction = {
  name: string;
  /** the line it begins on, from 1 */
  line: number;
  lines: number;
  /** 1 and one more for each branch in it */
  complexity: number;
  /** the deepest block in it; its own body is 0 */
  nesting: number;
};

export type Structure = { functions: FoundFunction[]; deepestNesting: number };

const notFunctions =
  /^(if|for|foreach|while|switch|catch|with|using|lock|synchronized|when|match|else|do|try|until|unless|elif|guard|select|return|new|defer|unsafe)$/;
const branches =
  /\b(?:if|elif|for|foreach|while|case|catch|except|when|guard)\b|&&|\|\||\?\?(?!=)|\?(?![.?:)\]},;=>])|\b(?:and|or)\b/g;

/** Further back no header of a function begins. */
const longestHeader = 1_000;
const longestExpression = 5_000;

/** The functions in masked code. */
export function findFunctions(text: string, { blocks, isScript }: Language): Structure {
  if (blocks === 'braces') return findInBraces(text, isScript);
  return blocks === 'indent' ? findByIndent(text) : { functions: [], deepestNesting: 0 };
}

type Block = {
  depth: number;
  deepest: number;
  /** open parentheses around it */
  parentheses: number;
  open: Header | undefined;
};
type Header = { name: string; start: number };

/** Follows brackets; what stands before a `{` since the statement began tells whether a function begins there. */
function findInBraces(text: string, hasArrows: boolean): Structure {
  const ruler = createRuler(text);
  const functions: FoundFunction[] = [];
  const blocks: Block[] = [];
  /** where the statement began in which each open parenthesis stands */
  const parentheses: number[] = [];
  let deepestNesting = 0;
  let start = 0;
  const close = (block: Block, end: number) => {
    const { open, deepest, depth } = block;
    if (open) functions.push(toFunction(open, end, ruler, deepest - depth));
    const outer = blocks.at(-1);
    if (outer) outer.deepest = Math.max(outer.deepest, deepest);
  };
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '(':
        parentheses.push(start);
        break;
      case ')':
        start = parentheses.pop() ?? start;
        break;
      case '=':
        if (hasArrows && /^=>\s*[^\s{]/.test(text.slice(at, at + 200))) {
          functions.push(toFunction(arrowHeader(text, start, at), endOfExpression(text, at + 2), ruler, 0));
        }
        break;
      case '{': {
        const depth = blocks.length + 1;
        const open = functionHeader(text, Math.max(start, at - longestHeader), at, hasArrows);
        blocks.push({ depth, deepest: depth, parentheses: parentheses.length, open });
        deepestNesting = Math.max(deepestNesting, depth);
        start = at + 1;
        break;
      }
      case '}': {
        const block = blocks.pop();
        if (block) {
          close(block, at);
          parentheses.length = Math.min(parentheses.length, block.parentheses);
        }
        start = at + 1;
        break;
      }
      case ';':
        if (parentheses.length === (blocks.at(-1)?.parentheses ?? 0)) start = at + 1;
    }
  }
  // what is never closed ends with the code
  for (let block = blocks.pop(); block; block = blocks.pop()) close(block, text.length - 1);
  return { functions: functions.toSorted((a, b) => a.line - b.line), deepestNesting };
}

/** The function whose body begins at `end`; undefined when something else does. */
function functionHeader(text: string, start: number, end: number, hasArrows: boolean): Header | undefined {
  const header = text.slice(start, end).trimEnd();
  if (header.endsWith('=>') && hasArrows) return arrowHeader(text, start, start + header.length - 2);
  const keyword =
    /\b(?:function|func|fn|fun|def)\b\s*\*?\s*(?:\([^()]*\)\s*(?=[\w$]+\s*[(<[]))?([\w$.]+)?\s*[<([][^;]*$/.exec(
      header,
    );
  // a brace between its parentheses belongs to a parameter
  if (keyword && isBalanced(keyword[0])) {
    const at = start + keyword.index;
    return keyword[1] === undefined ? arrowHeader(text, start, at) : { name: keyword[1], start: at };
  }
  const method = /(~?[\w$#]+)\s*(?:<[^<>]*>\s*)?\(([^;]*)\)([^(){};=]*)$/.exec(header);
  const name = method?.[1];
  if (!method || name === undefined || notFunctions.test(name)) return undefined;
  const before = header.slice(0, method.index).trimEnd();
  if (/\b(?:new|class|interface|enum|struct|return|else)$/.test(before) || /[=.&|!?]$/.test(before))
    return undefined;
  const tail = method[3]?.trim() ?? '';
  const isTail = /^(?:|:.*|->.*|throws\b.*|const|noexcept|override|final|async|where\b.*|mutating)$/s.test(
    tail,
  );
  return isTail ? { name, start: start + method.index } : undefined;
}

const isBalanced = (text: string) => text.split('(').length === text.split(')').length;

/** A function without a name of its own has that of what it is given to. */
function arrowHeader(text: string, start: number, end: number): Header {
  const header = text.slice(Math.max(start, end - longestHeader), end);
  const found =
    /(?:^|[\s,({.;])([\w$#]+)\s*(?::[^=,;]*)?(?:=|:)\s*(?:async\s*)?(?:<[^<>]*>\s*)?(?:\([^=]*\)|[\w$]+)?\s*(?::[^=]*)?$/.exec(
      header,
    );
  const name = found?.[1];
  if (!found || name === undefined) return { name: '(anonymous)', start: end };
  return { name, start: end - header.length + found.index + found[0].indexOf(name) };
}

/** The end of an arrow function without braces. */
function endOfExpression(text: string, start: number): number {
  let depth = 0;
  let last = start;
  const end = Math.min(text.length, start + longestExpression);
  for (let at = start; at < end; at += 1) {
    const character = text[at] ?? '';
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth < 0 || (depth === 0 && (character === ';' || character === ','))) return last;
    if (
      depth === 0 &&
      character === '\n' &&
      last > start &&
      !/^\s*[.?:&|+*/-]/.test(text.slice(at, at + 200))
    )
      return last;
    if (character.trim() !== '') last = at;
  }
  return last;
}

function findByIndent(text: string): Structure {
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1, indent: indentOf(line) }));
  const filled = lines.filter(({ line }) => line.trim() !== '');
  const ruler = createRuler(text);
  const functions: FoundFunction[] = [];
  const levels: number[] = [0];
  const levelOf = new Map<number, number>();
  let deepestNesting = 0;
  let parentheses = 0;
  for (const { line, number, indent } of filled) {
    if (parentheses === 0) {
      while (indent < (levels.at(-1) ?? 0)) levels.pop();
      if (indent > (levels.at(-1) ?? 0)) levels.push(indent);
    }
    parentheses = Math.max(
      0,
      parentheses + (line.match(/[([{]/g)?.length ?? 0) - (line.match(/[)\]}]/g)?.length ?? 0),
    );
    levelOf.set(number, levels.length - 1);
    deepestNesting = Math.max(deepestNesting, levels.length - 1);
  }
  for (const [index, { line, number, indent }] of filled.entries()) {
    const name = /^\s*(?:async\s+)?def\s+(\w+)/.exec(line)?.[1];
    if (name === undefined) continue;
    const level = levelOf.get(number) ?? 0;
    let lastLine = number;
    let nesting = 0;
    for (let next = index + 1; next < filled.length; next += 1) {
      const inside = filled[next];
      if (!inside || (inside.indent <= indent && !/^\s*[)\]}]/.test(inside.line))) break;
      lastLine = inside.number;
      nesting = Math.max(nesting, (levelOf.get(lastLine) ?? 0) - level - 1);
    }
    const complexity = 1 + ruler.branchesIn(ruler.startOf(number), ruler.startOf(lastLine + 1));
    functions.push({ name, line: number, lines: lastLine - number + 1, complexity, nesting });
  }
  return { functions, deepestNesting };
}

const indentOf = (line: string) => (/^[ \t]*/.exec(line)?.[0] ?? '').replaceAll('\t', '    ').length;

function toFunction({ name, start }: Header, end: number, ruler: Ruler, nesting: number): FoundFunction {
  const line = ruler.lineAt(start);
  const complexity = 1 + ruler.branchesIn(start, end + 1);
  return { name, line, lines: ruler.lineAt(end) - line + 1, complexity, nesting };
}

/** Answers questions about places in a text without reading it again. */
type Ruler = {
  /** the line of a place, from 1 */
  lineAt(place: number): number;
  /** where a line begins; the end of the text after the last one */
  startOf(line: number): number;
  branchesIn(start: number, end: number): number;
};

function createRuler(text: string): Ruler {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  const branchPlaces = Array.from(text.matchAll(branches), ({ index }) => index);
  return {
    lineAt: (place) => countBelow(starts, place + 1),
    startOf: (line) => starts[line - 1] ?? text.length,
    branchesIn: (start, end) => countBelow(branchPlaces, end) - countBelow(branchPlaces, start),
  };
}

/** How many of ascending numbers are less than a limit. */
function countBelow(numbers: number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
