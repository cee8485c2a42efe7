import { randomInt } from 'node:crypto';
import type { Place, Sink } from './places.ts';

/** Where one of the texts was found that nobody may find there. `excerpt` has the text itself cut out. */
export type Leak = { place: Place; sink: Sink; form: string; excerpt: string };

type Needle = { place: Place; form: string; text: string; ignoresCase: boolean };

export type Canaries = {
  /** The text of a place, always the same one. */
  at(place: Place): string;
  /** The text as a secret that is long and mixed enough for every check of weak ones. */
  keyAt(place: Place): string;
  /** Something private that is not made here, such as a signature; any part of it counts. */
  note(place: Place, value: string): void;
  /** the places whose texts were used */
  places(): Place[];
  /** every place of which something is in this text, in any form, with where that is */
  find(sink: Sink, text: string): Leak[];
};

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
const coreLength = 24;
/** A piece so long is no chance, and a text that was cut short still has one of them. */
const pieceLength = 10;
const startLength = 6;

/** Texts that are told apart wherever they turn up, also cut short, encoded, or in another case. */
export function createCanaries(): Canaries {
  const cores = new Map<Place, string>();
  const needles: Needle[] = [];
  const known = new Set<string>();

  function add(place: Place, form: string, text: string, ignoresCase: boolean): void {
    if (known.has(text)) return;
    known.add(text);
    needles.push({ place, form, text, ignoresCase });
  }

  function coreOf(place: Place): string {
    let core = cores.get(place);
    if (core === undefined) {
      core = Array.from({ length: coreLength }, () => letters[randomInt(letters.length)]).join('');
      cores.set(place, core);
      for (const { form, text, ignoresCase } of formsOf(core)) add(place, form, text, ignoresCase);
    }
    return core;
  }

  return {
    at: (place) => `Canary-${slugOf(place)}-${coreOf(place)}`,
    keyAt: (place) => `cK7-${coreOf(place)}-Zq9Xw4Rt`,
    note(place, value) {
      cores.set(place, cores.get(place) ?? value);
      const length = Math.min(value.length, 14);
      for (const start of [0, Math.floor((value.length - length) / 2), value.length - length])
        add(place, 'plain', value.slice(start, start + length), false);
      for (const { form, text, ignoresCase } of formsOf(value))
        if (form !== 'plain') add(place, form, text, ignoresCase);
    },
    places: () => [...cores.keys()],
    find(sink, text) {
      const found = new Map<Place, Leak>();
      const lower = text.toLowerCase();
      for (const [haystack, byStart] of [
        [lower, startsOf(needles.filter(({ ignoresCase }) => ignoresCase))],
        [text, startsOf(needles.filter(({ ignoresCase }) => !ignoresCase))],
      ] as const)
        for (let index = 0; index <= haystack.length - startLength; index += 1)
          for (const { place, form, text: needle } of byStart.get(
            haystack.slice(index, index + startLength),
          ) ?? [])
            if (!found.has(place) && haystack.startsWith(needle, index))
              found.set(place, { place, sink, form, excerpt: around(text, index, needle.length) });
      return [...found.values()];
    },
  };
}

/** By their first letters: looking for each of them in turn would take seconds. */
function startsOf(needles: Needle[]): Map<string, Needle[]> {
  return Map.groupBy(needles, ({ text }) => text.slice(0, startLength));
}

const slugOf = (place: Place) => place.replaceAll(/[^a-z0-9]+/gi, '-');

/** A text as it is and in the encodings that it could be hidden in. */
function formsOf(value: string): Omit<Needle, 'place'>[] {
  const bytes = Buffer.from(value);
  const middle = value.slice(Math.max(0, value.length / 2 - pieceLength / 2)).slice(0, pieceLength);
  const hex = Buffer.from(middle).toString('hex');
  const plain = [0, (value.length - pieceLength) / 2, value.length - pieceLength].map((start) =>
    value.slice(start, start + pieceLength),
  );
  return [
    ...plain.map((text) => ({ form: 'plain', text, ignoresCase: true })),
    { form: 'hex', text: hex, ignoresCase: true },
    { form: 'percent', text: hex.replaceAll(/../g, '%$&'), ignoresCase: true },
    { form: 'JSON escapes', text: hex.replaceAll(/../g, '\\u00$&'), ignoresCase: true },
    { form: 'reversed', text: [...middle].toReversed().join(''), ignoresCase: true },
    { form: 'bytes', text: [...Buffer.from(middle)].join(','), ignoresCase: false },
    ...[0, 1, 2].map((offset) => ({ form: 'base64', text: base64At(bytes, offset), ignoresCase: false })),
  ];
}

/** What base64 makes of bytes that `offset` others precede: the letters that depend on nothing else. */
function base64At(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64url');
  const start = Math.ceil((offset * 8) / 6);
  const end = Math.floor(((offset + bytes.length) * 8) / 6);
  const middle = Math.floor((start + end) / 2);
  return text.slice(Math.max(start, middle - 7), Math.min(end, middle + 7));
}

const excerptChars = 90;

function around(text: string, index: number, length: number): string {
  const before = text.slice(Math.max(0, index - excerptChars), index);
  const after = text.slice(index + length, index + length + excerptChars);
  return `${before}⟨…⟩${after}`.replaceAll(/\s+/g, ' ');
}
