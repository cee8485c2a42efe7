/** `position` counts characters from 1. */
export type Token = { kind: 'number' | 'name' | 'symbol' | 'end'; text: string; position: number };

const blank = /\s+/y;
const number = /(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy;
const grouped = /\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?/y;
const name = /[\p{L}_][\p{L}\p{N}_]*/uy;
const symbol = /\*\*|[-+*/%^!(),×·÷−]/y;

const spellings = new Map([
  ['**', '^'],
  ['×', '*'],
  ['·', '*'],
  ['÷', '/'],
  ['−', '-'],
]);

export function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  /** for each open parenthesis, whether it holds a function's arguments, where a comma separates */
  const calls: boolean[] = [];
  for (let at = 0; at < expression.length; ) {
    const skipped = match(blank, expression, at);
    if (skipped) {
      at += skipped.length;
      continue;
    }
    const token = nextToken(expression, at, calls.at(-1) ?? false);
    if (token.text === '(') calls.push(tokens.at(-1)?.kind === 'name');
    if (token.text === ')') calls.pop();
    tokens.push({ kind: token.kind, text: spellings.get(token.text) ?? token.text, position: at + 1 });
    at += token.text.length;
  }
  return tokens
    .map((token) => (token.kind === 'number' ? withoutCommas(token) : token))
    .concat(end(expression));
}

function nextToken(expression: string, at: number, isCall: boolean): Pick<Token, 'kind' | 'text'> {
  const digits = (isCall ? '' : match(grouped, expression, at)) || match(number, expression, at);
  if (digits) return { kind: 'number', text: digits };
  const word = match(name, expression, at);
  if (word) return { kind: 'name', text: word };
  const sign = match(symbol, expression, at);
  if (sign) return { kind: 'symbol', text: sign };
  const character = String.fromCodePoint(expression.codePointAt(at) ?? 0);
  throw new Error(`Unexpected "${character}" at position ${at + 1}.`);
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

function withoutCommas(token: Token): Token {
  return { ...token, text: token.text.replaceAll(',', '') };
}

function end(expression: string): Token {
  return { kind: 'end', text: '', position: expression.length + 1 };
}
