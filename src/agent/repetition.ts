/** The longest stretch whose repetition is noticed, in characters. */
const longestStretch = 700;
/** Characters that the same stretch must fill before it counts as a loop. */
const leastRun = 2000;
/** A long stretch must come this often. */
const leastTimes = 3.5;
/** A look after this many new characters keeps the cost of a token close to nothing. */
const charsPerLook = 128;
/** What a repeating text must end with once more, to be worth the exact look. */
const probeLength = 32;
/** How much more a text may repeat when the repetition was asked for. */
const askedFactor = 10;

/** The stretch that fills the end of a text, and how much of the text it fills, both in characters. */
export type Repetition = { stretch: string; length: number };

/**
 * Watches a text as it is streamed for the same stretch back to back: not for a low variety of words, nor for lines that
 * resemble each other. `push` takes the next part and returns how many of its characters come before the loop was
 * noticed, or undefined as long as there is none.
 */
export interface RepetitionDetector {
  push(text: string): number | undefined;
  /** what was noticed */
  readonly found: Repetition | undefined;
}

/** `isAsked`: the message asks for something to be repeated, so only an excess of it counts. */
export function createRepetitionDetector(isAsked = false): RepetitionDetector {
  const least = leastRun * (isAsked ? askedFactor : 1);
  const kept = Math.max(least, longestStretch * leastTimes) + longestStretch;
  let tail = '';
  let fresh = 0;
  let found: Repetition | undefined;

  function look(): Repetition | undefined {
    if (tail.length > 2 * kept) tail = tail.slice(-kept);
    if (tail.length < least) return undefined;
    const from = tail.length - probeLength;
    const isSeenBefore = tail.lastIndexOf(tail.slice(from), from - 1) >= from - longestStretch;
    return isSeenBefore ? repetitionAtEnd(tail.slice(-kept), least) : undefined;
  }

  return {
    push(text) {
      let taken = 0;
      while (found === undefined && fresh + text.length - taken >= charsPerLook) {
        const next = taken + charsPerLook - fresh;
        tail += text.slice(taken, next);
        taken = next;
        fresh = 0;
        found = look();
      }
      if (found) return taken;
      tail += text.slice(taken);
      fresh += text.length - taken;
      return undefined;
    },
    get found() {
      return found;
    },
  };
}

/** The loop that a whole text runs into, if any. */
export function findRepetition(text: string, isAsked = false): Repetition | undefined {
  const detector = createRepetitionDetector(isAsked);
  detector.push(text);
  return detector.found;
}

/**
 * The shortest stretch that repeats up to the end of a text for long enough. The prefix function of the reversed text
 * gives, for each length of the end, the shortest period that it has.
 */
function repetitionAtEnd(text: string, least: number): Repetition | undefined {
  const { length } = text;
  const at = (index: number) => text.charCodeAt(length - 1 - index);
  const borders = new Int32Array(length);
  let best: Repetition | undefined;
  for (let index = 1; index < length; index += 1) {
    let border = borders[index - 1] ?? 0;
    while (border > 0 && at(index) !== at(border)) border = borders[border - 1] ?? 0;
    if (at(index) === at(border)) border += 1;
    borders[index] = border;
    const run = index + 1;
    const period = run - border;
    if (run < least || period > longestStretch || run < leastTimes * period) continue;
    best = { stretch: text.slice(length - period), length: run };
  }
  return best;
}
