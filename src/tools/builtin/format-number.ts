/** 15 significant digits: what a double holds for certain, so that 0.1 + 0.2 prints 0.3. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  if (Number.isSafeInteger(value)) return String(value);
  // a longer whole number is not exact; an exponent says so, trailing zeros would not
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return shortExponent(value);
  return String(Number(value.toPrecision(15)));
}

function shortExponent(value: number): string {
  const [mantissa, exponent] = value.toExponential(14).split('e');
  return `${Number(mantissa)}e${exponent}`;
}
