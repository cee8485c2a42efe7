type MathFunction = { minimum: number; maximum: number; apply: (values: number[]) => number };

const unary = (apply: (value: number) => number): MathFunction => ({
  minimum: 1,
  maximum: 1,
  apply: ([value = Number.NaN]) => apply(value),
});

const variadic = (apply: (values: number[]) => number): MathFunction => ({
  minimum: 1,
  maximum: Number.POSITIVE_INFINITY,
  apply,
});

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** Maps, not objects: a name from outside never meets a prototype. */
export const functions: ReadonlyMap<string, MathFunction> = new Map([
  ['abs', unary(Math.abs)],
  ['acos', unary(Math.acos)],
  ['asin', unary(Math.asin)],
  ['atan', unary(Math.atan)],
  ['avg', variadic((values) => sum(values) / values.length)],
  ['ceil', unary(Math.ceil)],
  ['cos', unary(Math.cos)],
  ['exp', unary(Math.exp)],
  ['floor', unary(Math.floor)],
  ['ln', unary(logarithm(Math.log))],
  ['log10', unary(logarithm(Math.log10))],
  ['log2', unary(logarithm(Math.log2))],
  ['max', variadic((values) => Math.max(...values))],
  ['min', variadic((values) => Math.min(...values))],
  ['round', { minimum: 1, maximum: 2, apply: ([value = 0, digits = 0]) => round(value, digits) }],
  ['sin', unary(Math.sin)],
  ['sqrt', unary(Math.sqrt)],
  ['sum', variadic(sum)],
  ['tan', unary(Math.tan)],
]);

export const constants: ReadonlyMap<string, number> = new Map([
  ['e', Math.E],
  ['pi', Math.PI],
  ['π', Math.PI],
]);

function logarithm(apply: (value: number) => number): (value: number) => number {
  return (value) => {
    if (value <= 0) throw new Error('A logarithm needs a number above zero.');
    return apply(value);
  };
}

/** Half away from zero, on the decimal digits that a reader sees: round(1.005, 2) is 1.01. */
function round(value: number, digits: number): number {
  if (!Number.isInteger(digits) || Math.abs(digits) > 15) {
    throw new Error('round takes a whole number of digits from -15 to 15.');
  }
  const factor = 10 ** Math.abs(digits);
  const scaled = digits < 0 ? value / factor : value * factor;
  if (!Number.isFinite(scaled)) return value;
  const rounded = Math.sign(scaled) * Math.round(Math.abs(Number(scaled.toPrecision(15))));
  return digits < 0 ? rounded * factor : rounded / factor;
}

export function factorial(value: number): number {
  if (!Number.isInteger(value) || value < 0) {
    throw new Error('A factorial needs a whole number that is not negative.');
  }
  if (value > 170) throw new Error('The result is too large.');
  let product = 1;
  for (let factor = 2; factor <= value; factor++) product *= factor;
  return product;
}
