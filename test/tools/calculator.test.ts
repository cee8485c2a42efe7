import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalculatorTool } from '../../src/tools/builtin/calculator.ts';

const tool = createCalculatorTool();
const caller = { tenant: 'default', subject: 'anonymous', roles: [] };
const context = { runId: 'run', callId: 'call', caller, onProgress: () => {} };

async function calculate(expression: string): Promise<string> {
  const { content, isError } = await tool.execute({ expression }, context, AbortSignal.timeout(1000));
  expect(isError).toBe(false);
  const [block] = content;
  return block?.type === 'text' ? block.text : '';
}

describe('calculator: values', () => {
  it.each([
    ['12*(3+4)', '84'],
    ['0.1+0.2', '0.3'],
    ['0.1+0.2-0.3', '0'],
    ['0.1*3', '0.3'],
    ['1/3', '0.333333333333333'],
    ['2+3*4-6/2', '11'],
    ['10-4-3', '3'],
    ['64/4/2', '8'],
    ['2^3^2', '512'],
    ['2**10', '1024'],
    ['-2^2', '-4'],
    ['(-2)^2', '4'],
    ['2^-1', '0.5'],
    ['2*-3', '-6'],
    ['--3', '3'],
    ['1--1', '2'],
    ['+5', '5'],
    ['-0', '0'],
    ['7%3', '1'],
    ['-7%3', '-1'],
    ['7.5 % 2', '1.5'],
    ['10%', '0.1'],
    ['200*15%', '30'],
    ['100 - 10%', '99.9'],
    ['.5+1.', '1.5'],
    ['1.5e3 + 2E-1', '1500.2'],
    ['1,234,567.5 + 1', '1234568.5'],
    ['max(1,2)', '2'],
    ['max(1,200)', '200'],
    ['max((1,200), 3)', '1200'],
    ['min(3, -1, 2)', '-1'],
    ['sum(1,2,3.5)', '6.5'],
    ['avg(1,2,3,4)', '2.5'],
    ['sqrt(2)', '1.4142135623731'],
    ['abs(-3.2)', '3.2'],
    ['round(2.5)', '3'],
    ['round(-2.5)', '-3'],
    ['round(1.005, 2)', '1.01'],
    ['round(1234.5, -2)', '1200'],
    ['floor(-1.5)', '-2'],
    ['ceil(1.2)', '2'],
    ['sin(0)', '0'],
    ['cos(pi)', '-1'],
    ['tan(pi/4)', '1'],
    ['asin(1)*2', '3.14159265358979'],
    ['acos(1)', '0'],
    ['atan(1)*4', '3.14159265358979'],
    ['ln(e)', '1'],
    ['log10(1000)', '3'],
    ['log2(8)', '3'],
    ['exp(1)', '2.71828182845905'],
    ['5!', '120'],
    ['0!', '1'],
    ['3!!', '720'],
    ['-3!', '-6'],
    ['2^3!', '64'],
    ['170!', '7.25741561530799e+306'],
    ['PI', '3.14159265358979'],
    ['6 × 7 ÷ 2 − 1', '20'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740991 - 9007199254740990', '1'],
    ['2^60', '1.15292150460685e+18'],
    ['1e21', '1e+21'],
    ['1/1e9', '1e-9'],
    ['0^0', '1'],
    ['\t1\n+ 1 ', '2'],
  ])('%s is %s', async (expression, value) => {
    expect(await calculate(expression)).toBe(value);
  });
});

const known =
  'Known: abs, acos, asin, atan, avg, ceil, cos, exp, floor, ln, log10, log2, max, min, round, sin, sqrt, sum, tan, pi, e.';

describe('calculator: errors in plain sentences', () => {
  it.each([
    ['1/0', 'Division by zero.'],
    ['5%(1-1)', 'Division by zero.'],
    ['0^-1', 'Division by zero.'],
    ['foo+1', `Unknown name "foo" at position 1. ${known}`],
    ['1 + constructor', `Unknown name "constructor" at position 5. ${known}`],
    ['__proto__', `Unknown name "__proto__" at position 1. ${known}`],
    ['(1+)', 'Unexpected ")" at position 4.'],
    ['1+2)', 'Unexpected ")" at position 4.'],
    ['(1+2', 'Unexpected end of the expression, expected ")".'],
    ['1+', 'Unexpected end of the expression.'],
    ['*2', 'Unexpected "*" at position 1.'],
    ['2 3', 'Unexpected "3" at position 3.'],
    ['2pi', 'Unexpected "pi" at position 2.'],
    ['1,00', 'Unexpected "," at position 2.'],
    ['1 $ 2', 'Unexpected "$" at position 3.'],
    ['1 😀', 'Unexpected "😀" at position 3.'],
    ['process.exit()', 'Unexpected "." at position 8.'],
    ['sqrt', 'Unexpected end of the expression, expected "(".'],
    ['sqrt()', 'sqrt does not take 0 values.'],
    ['sqrt(1, 2)', 'sqrt does not take 2 values.'],
    ['max()', 'max does not take 0 values.'],
    ['round(1, 2, 3)', 'round does not take 3 values.'],
    ['round(1, 0.5)', 'round takes a whole number of digits from -15 to 15.'],
    ['sqrt(-1)', 'The result is not a real number.'],
    ['(-8)^(1/3)', 'The result is not a real number.'],
    ['asin(2)', 'The result is not a real number.'],
    ['ln(0)', 'A logarithm needs a number above zero.'],
    ['9^9^9^9', 'The result is too large.'],
    ['1e999', 'The result is too large.'],
    ['171!', 'The result is too large.'],
    ['170!!', 'The result is too large.'],
    ['(-1)!', 'A factorial needs a whole number that is not negative.'],
    ['1.5!', 'A factorial needs a whole number that is not negative.'],
    ['', 'The expression is empty.'],
    ['   ', 'The expression is empty.'],
    ['('.repeat(500), 'The expression is nested too deeply.'],
    [`${'2^'.repeat(499)}2`, 'The expression is nested too deeply.'],
    ['1'.repeat(1001), 'The expression is longer than 1000 characters.'],
    [`${'('.repeat(10_000)}1${')'.repeat(10_000)}`, 'The expression is longer than 1000 characters.'],
  ])('%.40s', async (expression, message) => {
    await expect(calculate(expression)).rejects.toThrow(new Error(message));
  });

  it('wants a string', async () => {
    await expect(tool.execute({ expression: 5 }, context, AbortSignal.timeout(1000))).rejects.toThrow(
      'The expression must be a string.',
    );
  });
});

/** An expression and the same thing as JavaScript. */
type Pair = { ours: string; theirs: string };

const pairs = fc.letrec<{ pair: Pair }>((tie) => ({
  pair: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.integer({ min: 0, max: 1000 }).map((value) => ({ ours: `${value}`, theirs: `${value}` })),
    fc.integer({ min: 0, max: 9999 }).map((value) => ({ ours: `${value / 100}`, theirs: `${value / 100}` })),
    fc.tuple(tie('pair'), fc.constantFrom('+', '-', '*', '/'), tie('pair')).map(([left, sign, right]) => ({
      ours: `(${left.ours})${sign}(${right.ours})`,
      theirs: `(${left.theirs})${sign}(${right.theirs})`,
    })),
    fc.tuple(tie('pair'), fc.constantFrom('+', '-', '*'), tie('pair')).map(([left, sign, right]) => ({
      ours: `${left.ours} ${sign} ${right.ours}`,
      theirs: `${left.theirs} ${sign} ${right.theirs}`,
    })),
    tie('pair').map(({ ours, theirs }) => ({ ours: `-(${ours})`, theirs: `-(${theirs})` })),
    tie('pair').map(({ ours, theirs }) => ({ ours: `abs(${ours})^2`, theirs: `Math.abs(${theirs})**2` })),
    fc.nat(1000).map((value) => ({ ours: `sqrt(${value})`, theirs: `Math.sqrt(${value})` })),
  ),
})).pair;

describe('calculator: properties', () => {
  it('agrees with JavaScript on whole numbers, exactly', async () => {
    const sign = fc.constantFrom('+', '-', '*');
    const terms = fc.array(fc.tuple(sign, fc.integer({ min: 0, max: 99 })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 99 }), terms, async (first, rest) => {
        const expression = [first, ...rest.flat()].join(' ');
        const value = new Function(`return ${expression}`)() as number;
        expect(await calculate(expression)).toBe(String(value === 0 ? 0 : value));
      }),
    );
  });

  it('agrees with JavaScript on nested expressions, to 12 digits', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, async ({ ours, theirs }) => {
        fc.pre(ours.length <= 1000);
        const value = new Function(`return ${theirs}`)() as number;
        const scale = Math.max(1, Math.abs(value), ...(ours.match(/[\d.]+/g) ?? []).map(Number)) ** 2;
        const got = await calculate(ours).then(Number, (error: Error) => error.message);
        if (typeof got === 'number') expect(Math.abs(got - value)).toBeLessThanOrEqual(1e-12 * scale);
        else expect(got).toMatch(/^(?:Division by zero|The result is (?:too large|not a real number))\.$/);
      }),
      { numRuns: 300 },
    );
  });

  it('ends every odd input quickly with a value or a plain sentence', async () => {
    const pieces = fc.constantFrom(
      '1',
      '9',
      '(',
      ')',
      '^',
      '!',
      '-',
      '%',
      ',',
      '.',
      'e',
      'max',
      'sqrt',
      '*',
      '/',
      ' ',
      '"',
    );
    const odd = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.array(pieces, { maxLength: 400 }).map((list) => list.join('')),
    );
    await fc.assert(
      fc.asyncProperty(odd, async (expression) => {
        const started = performance.now();
        const message = await calculate(expression).catch((error: Error) => error.message);
        expect(message).toMatch(/^(?:-?[\d.]+(?:e[+-]\d+)?|.*\.)$/su);
        expect(message).not.toMatch(/NaN|Infinity|undefined/);
        expect(performance.now() - started).toBeLessThan(500);
      }),
      { numRuns: 500 },
    );
  });
});
