import type { Canaries, Leak } from './canaries.ts';
import { type Place, places, type Sink } from './places.ts';

/** Everything that came out, by where. */
export type Outputs = {
  add(sink: Sink, text: string): void;
  /** what was found where it may not be */
  leaks(): Leak[];
  /** what has to be found and was not: nobody looked where it would be. Only of these sinks. */
  missing(sinks: readonly Sink[]): string[];
  /** where something came out */
  sinks(): Sink[];
  text(sink: Sink): string;
};

export function createOutputs(canaries: Canaries): Outputs {
  const texts = new Map<Sink, string[]>();
  const found = new Map<Sink, Leak[]>();

  function findIn(sink: Sink): Leak[] {
    const known = found.get(sink) ?? canaries.find(sink, (texts.get(sink) ?? []).join('\n'));
    found.set(sink, known);
    return known;
  }

  return {
    add(sink, text) {
      const list = texts.get(sink) ?? [];
      texts.set(sink, list);
      list.push(text);
      found.delete(sink);
    },
    leaks: () =>
      [...texts.keys()].flatMap(findIn).filter(({ place, sink }) => !ruleOf(place).may.includes(sink)),
    missing(sinks) {
      const used = new Set(canaries.places());
      return sinks.flatMap((sink) => {
        const seen = new Set(findIn(sink).map(({ place }) => place));
        const wanted = [...used].filter((place) => ruleOf(place).must?.includes(sink));
        return wanted.filter((place) => !seen.has(place)).map((place) => `${place} → ${sink}`);
      });
    },
    sinks: () => [...texts.keys()],
    text: (sink) => (texts.get(sink) ?? []).join('\n'),
  };
}

const ruleOf = (place: Place): { may: readonly Sink[]; must?: readonly Sink[] } => places[place];
