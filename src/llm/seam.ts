/** A repeat shorter than this is taken for chance. */
const minRepeat = 10;
/** A whole text of at least this length that is told again is not: what goes on rarely begins as the text did. */
const minWhole = 3;
/** A continuation that tells this much of the very start again and then differs has started over. */
const minRestart = 40;
/** How far back from its end a text is searched for what a continuation repeats, besides from its very start. */
const searchWindow = 8 * 1024;

/** Joins a continuation to the text before it, so that nothing is repeated. Fed with the pieces of the continuation. */
export interface Seam {
  /** What is new and can be shown; '' while the pieces so far may still be a repeat. */
  push(text: string): string;
  /** What is still held back, when the continuation has ended. */
  end(): string;
  /** true once the continuation turned out to start over in other words, so that it cannot be joined */
  readonly isRestart: boolean;
}

/**
 * A model that is asked to go on may first tell again what was said before, from anywhere in it. Its text is held back
 * as long as it only repeats, and shown from the first new character on. One whose answer goes on exactly from where it
 * ends repeats nothing by design: there only a text that is told from its very start is held against it.
 */
export function createSeam(before: string, isExact = false): Seam {
  const tail = isExact ? '' : before.slice(-searchWindow);
  let pieces: string[] = [];
  let length = 0;
  let isFromStart = true;
  /** where in the tail the pieces so far may stand */
  let places: number[] | undefined;
  let isOpen = true;
  let isRestart = false;

  function isRepeat(text: string): boolean {
    isFromStart &&= before.startsWith(text, length);
    places = places ? places.filter((place) => tail.startsWith(text, place + length)) : placesOf(text, tail);
    return isFromStart || places.length > 0;
  }

  function settle(): string {
    isOpen = false;
    const held = pieces.join('');
    pieces = [];
    const isWhole = before.length >= (isExact ? minRestart : minWhole) && held.startsWith(before);
    const told = isWhole ? before.length : isExact ? 0 : overlapLength(before, held);
    isRestart = told === 0 && held.length >= minRestart && before.startsWith(held.slice(0, minRestart));
    return held.slice(told);
  }

  return {
    get isRestart() {
      return isRestart;
    },
    push(text) {
      if (!isOpen || text === '') return text;
      const isHeldBack = isRepeat(text);
      pieces.push(text);
      length += text.length;
      return isHeldBack ? '' : settle();
    },
    end: () => (isOpen ? settle() : ''),
  };
}

function placesOf(text: string, tail: string): number[] {
  const places: number[] = [];
  for (let place = tail.indexOf(text); place >= 0; place = tail.indexOf(text, place + 1)) places.push(place);
  return places;
}

/** The length of the longest start of `next` that `before` ends with, as far back as is searched. */
export function overlapLength(before: string, next: string): number {
  const longest = Math.min(before.length, next.length, searchWindow);
  for (let length = longest; length >= minRepeat; length -= 1) {
    if (before.endsWith(next.slice(0, length))) return length;
  }
  return 0;
}
