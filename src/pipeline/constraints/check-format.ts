import { findSchemaProblem } from '../checks/json.js';
import { readCount, readObject, readRelation, readText, readTexts } from './constraint.js';
import { type Check, compare, fail, pass, unsure, verdict } from './verdict.js';

const benchmarkChoices = ['My answer is yes.', 'My answer is no.', 'My answer is maybe.'];

export const checkJson: Check = (_constraint, answer) => {
  return parseJson(answer) === undefined ? fail('not valid JSON') : pass('valid JSON');
};

export const checkJsonKeys: Check = (constraint, answer) => {
  const keys = readTexts(constraint, 'keys');
  if (!keys) return undefined;
  const parsed = parseJson(answer);
  if (parsed === undefined) return fail('not valid JSON');
  const sample: unknown = Array.isArray(parsed.value) ? parsed.value[0] : parsed.value;
  if (typeof sample !== 'object' || sample === null) return fail('the JSON is not an object');
  const missing = keys.filter((key) => !Object.hasOwn(sample, key));
  if (missing.length === 0) return pass('all keys present');
  const isNested = missing.every((key) => answer.includes(JSON.stringify(key)));
  return isNested ? unsure('keys are nested') : fail(`missing keys: ${missing.join(', ')}`);
};

export const checkJsonSchema: Check = (constraint, answer) => {
  const schema = readObject(constraint, 'schema');
  if (!schema) return undefined;
  const parsed = parseJson(answer);
  if (parsed === undefined) return fail('not valid JSON');
  const problem = findSchemaProblem(parsed.value, schema);
  return problem === undefined ? pass('meets the schema') : fail(problem);
};

function parseJson(answer: string): { value: unknown } | undefined {
  const text = answer
    .trim()
    .replace(/^```(?:json)?/i, '')
    .replace(/```$/, '');
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Every `*part*` counts, and every `**part**` does too. */
export const checkHighlights: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_highlights');
  if (wanted === undefined) return undefined;
  const single = countMatches(answer, /\*([^\n*]*)\*/g);
  const double = countMatches(answer, /\*\*([^\n*]*)\*\*/g);
  return compare(single + double, 'at least', wanted, 'highlighted parts');
};

function countMatches(text: string, pattern: RegExp): number {
  let count = 0;
  for (const match of text.matchAll(pattern)) if ((match[1] ?? '').trim() !== '') count++;
  return count;
}

export const checkBullets: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_bullets');
  if (wanted === undefined) return undefined;
  const relation = readRelation(constraint, 'relation');
  const count = answer.split('\n').filter((line) => /^\s*(?:\*[^*]|-)/.test(`${line}\n`)).length;
  if (relation) return compare(count, relation, wanted, 'bullet points');
  return verdict(count === wanted, `${count} bullet points, wanted ${wanted}`);
};

export const checkNumberedList: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_items');
  const count = answer.split('\n').filter((line) => /^\s{0,8}\d{1,4}[.)]\s/.test(line)).length;
  if (wanted === undefined) return verdict(count > 0, `${count} numbered items`);
  return verdict(count === wanted, `${count} numbered items, wanted ${wanted}`);
};

export const checkPlaceholders: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_placeholders');
  if (wanted === undefined) return undefined;
  return compare(countPlaceholders(answer), 'at least', wanted, 'placeholders');
};

/** By line, since a search for the closing bracket from every opening one is quadratic. */
function countPlaceholders(answer: string): number {
  let count = 0;
  for (const line of answer.split('\n')) {
    for (let open = line.indexOf('['); open >= 0; ) {
      const close = line.indexOf(']', open);
      if (close < 0) break;
      count++;
      open = line.indexOf('[', close);
    }
  }
  return count;
}

export const checkTitle: Check = (_constraint, answer) => {
  const hasTitle = answer.split('\n').some((line) => {
    const open = line.indexOf('<<');
    const close = line.lastIndexOf('>>');
    return open >= 0 && close > open && /[^<>\s]/.test(line.slice(open, close));
  });
  return verdict(hasTitle, hasTitle ? 'has a <<title>>' : 'no <<title>>');
};

export const checkSections: Check = (constraint, answer) => {
  const splitter = readText(constraint, 'section_spliter');
  const wanted = readCount(constraint, 'num_sections');
  if (!splitter || wanted === undefined) return undefined;
  const parts = answer.split(splitter).slice(1);
  const count = parts.filter((part) => /^\s?\d/.test(part.slice(0, 3))).length;
  return compare(count, 'at least', wanted, 'sections');
};

export const checkTwoResponses: Check = (_constraint, answer) => {
  const parts = answer.split('******').map((part) => part.trim());
  const filled = parts.filter((part) => part !== '');
  if (parts.slice(1, -1).includes('')) return fail('empty part between dividers');
  if (filled.length !== 2) return fail(`${filled.length} parts around ******`);
  return verdict(filled[0] !== filled[1], filled[0] === filled[1] ? 'both parts are the same' : '2 parts');
};

export const checkChoice: Check = (constraint, answer) => {
  const options = readTexts(constraint, 'options') ?? benchmarkChoices;
  const text = answer.trim();
  const chosen = options.find((option) => text.includes(option));
  if (chosen !== undefined) return pass(`answers "${chosen}"`);
  const loose = text.toLowerCase();
  const isClose = options.some((option) => loose.includes(option.toLowerCase().replace(/[.!]$/, '')));
  return constraint.kwargs.options !== undefined && isClose
    ? unsure('one of the choices, spelled differently')
    : fail('none of the choices');
};

export const checkTable: Check = (_constraint, answer) => {
  const lines = answer.split('\n');
  const isMarkdown = lines.some(
    (line) => line.includes('|') && /^[\s|:-]{3,}$/.test(line) && line.includes('--'),
  );
  const isTable = isMarkdown || /<table[\s>]/i.test(answer);
  return verdict(isTable, isTable ? 'has a table' : 'no table');
};

export const checkCodeBlock: Check = (constraint, answer) => {
  const language = readText(constraint, 'language')?.toLowerCase();
  const fences = answer.split('\n').filter((line) => /^\s*(?:```|~~~)/.test(line));
  if (fences.length === 0) return language ? unsure('no fenced code block') : fail('no fenced code block');
  if (!language) return pass('has a code block');
  const openings = fences.filter((_, index) => index % 2 === 0);
  const named = openings.map((line) =>
    line
      .trim()
      .replace(/^[`~]+/, '')
      .trim()
      .toLowerCase(),
  );
  const isNamed = named.some((name) => codeAliases(language).includes(name.split(/[\s{]/, 1)[0] ?? ''));
  const isOther = named.every((name) => name !== '') && !isNamed;
  if (isNamed) return pass(`${language} code block`);
  return isOther ? fail(`no ${language} code block`) : unsure('code block without a language');
};

const aliases: Record<string, string[]> = {
  javascript: ['js', 'jsx', 'mjs', 'node'],
  typescript: ['ts', 'tsx'],
  python: ['py', 'python3'],
  'c++': ['cpp', 'cc', 'cxx'],
  'c#': ['cs', 'csharp'],
  go: ['golang'],
  rust: ['rs'],
  ruby: ['rb'],
  bash: ['sh', 'shell', 'zsh'],
  kotlin: ['kt'],
};

function codeAliases(language: string): string[] {
  return [language, ...(Object.hasOwn(aliases, language) ? (aliases[language] ?? []) : [])];
}

export const checkPlainText: Check = (_constraint, answer) => {
  const marks = [/^#{1,6}\s/m, /\*\*[^\n*]{1,200}\*\*/, /^```/m, /^[^\S\n]{0,8}[*-]\s/m];
  const isMarked = marks.some((mark) => mark.test(answer));
  return verdict(!isMarked, isMarked ? 'has markdown' : 'no markdown');
};
