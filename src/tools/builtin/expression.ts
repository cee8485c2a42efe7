import { constants, factorial, functions } from './functions.js';
import { type Token, tokenize } from './tokens.js';

export const functionNames = [...functions.keys()];
export const longestExpression = 1000;
const deepestNesting = 200;

type Parser = { tokens: Token[]; index: number; depth: number };

const addition = 1;
const multiplication = 2;
const negation = 3;
const power = 4;

const precedence = new Map([
  ['+', addition],
  ['-', addition],
  ['*', multiplication],
  ['/', multiplication],
  ['%', multiplication],
  ['^', power],
]);

/** The value of an arithmetic expression. Throws an Error whose message is a plain sentence. */
export function evaluateExpression(expression: string): number {
  if (expression.length > longestExpression) {
    throw new Error(`The expression is longer than ${longestExpression} characters.`);
  }
  const parser: Parser = { tokens: tokenize(expression), index: 0, depth: 0 };
  if (peek(parser).kind === 'end') throw new Error('The expression is empty.');
  const value = parseOperators(parser, 0);
  if (peek(parser).kind !== 'end') throw unexpected(peek(parser));
  return value;
}

/** Precedence climbing: takes every operator that binds tighter than `binding`. */
function parseOperators(parser: Parser, binding: number): number {
  if (++parser.depth > deepestNesting) throw new Error('The expression is nested too deeply.');
  let left = parsePrefix(parser);
  for (;;) {
    const token = peek(parser);
    const strength = token.kind === 'symbol' ? precedence.get(token.text) : undefined;
    if (strength === undefined || strength <= binding) break;
    parser.index++;
    const right = parseOperators(parser, token.text === '^' ? power - 1 : strength);
    left = finite(operate(token.text, left, right));
  }
  parser.depth--;
  return left;
}

function parsePrefix(parser: Parser): number {
  let sign = 1;
  let isSigned = false;
  for (; isSymbol(parser, '-') || isSymbol(parser, '+'); parser.index++) {
    if (isSymbol(parser, '-')) sign = -sign;
    isSigned = true;
  }
  // a sign binds looser than a power: -2^2 is -(2^2)
  return isSigned ? sign * parseOperators(parser, negation) : parsePostfix(parser, parseOperand(parser));
}

function parseOperand(parser: Parser): number {
  const token = peek(parser);
  parser.index++;
  if (token.kind === 'number') return finite(Number(token.text));
  if (token.kind === 'name') return parseName(parser, token);
  if (token.kind === 'end' || token.text !== '(') throw unexpected(token);
  const value = parseOperators(parser, 0);
  expectSymbol(parser, ')');
  return value;
}

function parsePostfix(parser: Parser, operand: number): number {
  let value = operand;
  for (;;) {
    if (isSymbol(parser, '!')) value = factorial(value);
    else if (isSymbol(parser, '%') && !startsOperand(parser.tokens[parser.index + 1])) value /= 100;
    else return value;
    parser.index++;
  }
}

function parseName(parser: Parser, token: Token): number {
  const name = token.text.toLowerCase();
  const constant = constants.get(name);
  if (constant !== undefined) return constant;
  const called = functions.get(name);
  if (called === undefined) {
    throw new Error(
      `Unknown name "${token.text}" at position ${token.position}. Known: ${functionNames.join(', ')}, pi, e.`,
    );
  }
  const values = parseArguments(parser);
  if (values.length < called.minimum || values.length > called.maximum) {
    throw new Error(`${name} does not take ${values.length} ${values.length === 1 ? 'value' : 'values'}.`);
  }
  return finite(called.apply(values));
}

function parseArguments(parser: Parser): number[] {
  expectSymbol(parser, '(');
  const values: number[] = [];
  if (isSymbol(parser, ')')) {
    parser.index++;
    return values;
  }
  for (;;) {
    values.push(parseOperators(parser, 0));
    if (!isSymbol(parser, ',')) break;
    parser.index++;
  }
  expectSymbol(parser, ')');
  return values;
}

function operate(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return withoutNoise(left + right, left, right);
    case '-':
      return withoutNoise(left - right, left, right);
    case '*':
      return left * right;
    case '^':
      if (left === 0 && right < 0) throw new Error('Division by zero.');
      return left ** right;
    default:
      if (right === 0) throw new Error('Division by zero.');
      return operator === '/' ? left / right : left % right;
  }
}

/** 0.1 + 0.2 - 0.3 is 0: two fractions that agree in all their certain digits have no difference. */
function withoutNoise(result: number, left: number, right: number): number {
  if (Number.isInteger(left) && Number.isInteger(right)) return result;
  const noise = 4 * Number.EPSILON * Math.max(Math.abs(left), Math.abs(right));
  return Math.abs(result) <= noise ? 0 : result;
}

function finite(value: number): number {
  if (Number.isNaN(value)) throw new Error('The result is not a real number.');
  if (!Number.isFinite(value)) throw new Error('The result is too large.');
  return value;
}

function peek(parser: Parser): Token {
  return parser.tokens[parser.index] ?? { kind: 'end', text: '', position: 0 };
}

function isSymbol(parser: Parser, symbol: string): boolean {
  const token = peek(parser);
  return token.kind === 'symbol' && token.text === symbol;
}

function startsOperand(token: Token | undefined): boolean {
  return token?.kind === 'number' || token?.kind === 'name' || token?.text === '(';
}

function expectSymbol(parser: Parser, symbol: string): void {
  if (!isSymbol(parser, symbol)) throw unexpected(peek(parser), symbol);
  parser.index++;
}

function unexpected(token: Token, wanted?: string): Error {
  const hint = wanted === undefined ? '' : `, expected "${wanted}"`;
  if (token.kind === 'end') return new Error(`Unexpected end of the expression${hint}.`);
  return new Error(`Unexpected "${token.text}" at position ${token.position}${hint}.`);
}
