/** A repeat shorter than this is taken for chance. */
const minRepeat = 10;
/** A whole text of at least this length that is told again is not: what goes on rarely begins as the text did. */
const minWhole = 3;
/** A continuation that tells this much of the very start again and then differs has started over. */
const minRestart = 40;
/** How far back from its end a text is searched for what a continuation repeats, besides from its very start. */
const searchWindow = 16 * 1024;

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
  let held = '';
  let isOpen = true;
  let isRestart = false;

  function settle(): string {
    isOpen = false;
    const isWhole = before.length >= (isExact ? minRestart : minWhole) && held.startsWith(before);
    const overlap = isExact ? 0 : overlapLength(before, held);
    const length = isWhole ? before.length : overlap;
    isRestart = length === 0 && held.length >= minRestart && before.startsWith(held.slice(0, minRestart));
    return held.slice(length);
  }

  return {
    get isRestart() {
      return isRestart;
    },
    push(text) {
      if (!isOpen) return text;
      held += text;
      return before.startsWith(held) || tail.includes(held) ? '' : settle();
    },
    end: () => (isOpen ? settle() : ''),
  };
}

/** The length of the longest start of `next` that `before` ends with. */
export function overlapLength(before: string, next: string): number {
  for (let length = Math.min(before.length, next.length); length >= minRepeat; length -= 1) {
    if (before.endsWith(next.slice(0, length))) return length;
  }
  return 0;
}
