/** The longest stretch whose repetition is noticed, in characters. */
const longestStretch = 700;
/** Characters that the same stretch must fill before it counts as a loop. */
const leastRun = 2000;
/** A long stretch must come this often. */
const leastTimes = 3.5;
/** A look after this many new characters keeps the cost of a token close to nothing. */
const charsPerLook = 512;
/** The same for a text that may have begun to loop. */
const charsPerCloseLook = 128;
/** What a looping text must end with once more, which hardly any other text does. */
const probeLength = 64;
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
  let untilLook = charsPerLook;
  let found: Repetition | undefined;

  function look(): void {
    if (tail.length > 2 * kept) tail = tail.slice(-kept);
    const mayLoop = endsWithRepeat(tail);
    untilLook = mayLoop ? charsPerCloseLook : charsPerLook;
    if (mayLoop && tail.length >= least) found = repetitionAtEnd(tail.slice(-kept), least);
  }

  return {
    push(text) {
      let taken = 0;
      while (found === undefined && text.length - taken >= untilLook) {
        const next = taken + untilLook;
        tail += text.slice(taken, next);
        taken = next;
        look();
      }
      if (found) return taken;
      const rest = taken === 0 ? text : text.slice(taken);
      tail += rest;
      untilLook -= rest.length;
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

/** Whether the last characters of a text stand within the longest stretch before its end once more. */
function endsWithRepeat(text: string): boolean {
  const from = text.length - probeLength;
  return from > 0 && text.slice(Math.max(0, from - longestStretch), -1).includes(text.slice(from));
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
