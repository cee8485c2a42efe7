import { countTokens } from '../llm/tokens.js';

/** Times that a text is made shorter: its tokens are not spread evenly, so its length only says about how many it has. */
const maxCuts = 8;
const mark = (characters: number) => `\n[… ${characters} characters left out …]\n`;

/** A text in at most so many tokens: its beginning and its end, with a mark in between. '' when there is no room for that. */
export function shorten(text: string, mostTokens: number): string {
  // a token has at least one byte, so most short texts need not be counted
  if (text.length * 3 <= mostTokens) return text;
  let tokens = countTokens(text);
  if (tokens <= mostTokens) return text;
  let kept = text.length;
  for (let cuts = 0; cuts < maxCuts; cuts += 1) {
    kept = Math.floor((kept * mostTokens * 0.9) / tokens);
    if (kept < 2) return '';
    const shorter = middleOut(text, kept);
    tokens = countTokens(shorter);
    if (tokens <= mostTokens) return shorter;
  }
  return '';
}

/** So many characters of a text, half of them from its end; no character is split. */
function middleOut(text: string, kept: number): string {
  const head = text.slice(0, Math.ceil(kept / 2)).replace(/[\ud800-\udbff]$/, '');
  const tail = text.slice(text.length - Math.floor(kept / 2)).replace(/^[\udc00-\udfff]/, '');
  return `${head}${mark(text.length - head.length - tail.length)}${tail}`;
}
