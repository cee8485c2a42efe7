/** The values of one metric label that come from outside: never more of them than there are places. */
export interface LabelValues {
  /** The value as the label shows it: cut to length, and `other` when there is no place for it. */
  of(value: string): string;
  /** Keeps places for values that the operator set, whatever comes first. */
  reserve(values: Iterable<string>): void;
}

const otherValue = 'other';

const maxValues = 200;
const maxLength = 128;

export function createLabelValues(): LabelValues {
  const places = new Set<string>();

  function place(value: string): string {
    const shown = value.slice(0, maxLength);
    if (places.has(shown)) return shown;
    if (places.size >= maxValues) return otherValue;
    places.add(shown);
    return shown;
  }

  return {
    of: place,
    reserve(values) {
      for (const value of values) place(value);
    },
  };
}
