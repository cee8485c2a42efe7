/** Minimum, maximum, mean and sum of numbers that come one by one. */
export class NumberRange {
  count = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  sum = 0;

  add(value: number): void {
    this.count += 1;
    this.sum += value;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  describe(): string {
    const mean = this.sum / this.count;
    return `${short(this.min)} to ${short(this.max)}, mean ${short(mean)}, sum ${short(this.sum)}`;
  }
}

/** A number without digits that say nothing: sums of fractions have many. */
function short(value: number): string {
  return Number.isInteger(value)
    ? String(value)
    : String(Number(value.toPrecision(Math.abs(value) < 1e6 ? 6 : 12)));
}

export const counted = (count: number, noun: string) =>
  `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;

/** A text on one line, cut to a length. */
export function clip(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
