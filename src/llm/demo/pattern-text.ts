const mostRepeats = 200;

type Reader = { pattern: string; at: number; minimum: number };

/**
 * A text that matches a plain regular expression: characters, classes, groups, the first of several alternatives and
 * the least number of repeats. Undefined for what goes beyond that.
 */
export function textForPattern(pattern: string, minimumLength: number): string | undefined {
  const source = pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, '');
  const text = readAlternatives({ pattern: source, at: 0, minimum: 0 });
  if (text === undefined || text.length >= minimumLength) return text;
  return readAlternatives({ pattern: source, at: 0, minimum: Math.min(minimumLength, mostRepeats) });
}

function readAlternatives(reader: Reader, isGroup = false): string | undefined {
  let first: string | undefined;
  for (;;) {
    const text = readSequence(reader);
    if (text === undefined) return undefined;
    first ??= text;
    const next = reader.pattern[reader.at];
    if (next === '|') reader.at++;
    else return next === ')' || !isGroup ? whole(reader, first, isGroup) : undefined;
  }
}

function whole(reader: Reader, text: string, isGroup: boolean): string | undefined {
  if (isGroup) reader.at++;
  return isGroup || reader.at === reader.pattern.length ? text : undefined;
}

function readSequence(reader: Reader): string | undefined {
  let text = '';
  while (reader.at < reader.pattern.length && !'|)'.includes(reader.pattern[reader.at] ?? '')) {
    const atom = readAtom(reader);
    const count = atom === undefined ? undefined : readCount(reader);
    if (atom === undefined || count === undefined) return undefined;
    text += atom.repeat(count);
    if (text.length > 10_000) return undefined;
  }
  return text;
}

function readAtom(reader: Reader): string | undefined {
  const character = reader.pattern[reader.at++] ?? '';
  if (character === '(') return readGroup(reader);
  if (character === '[') return readClass(reader);
  if (character === '\\') return escaped(reader.pattern[reader.at++] ?? '');
  if (character === '.') return 'a';
  return '^$*+?{'.includes(character) ? undefined : character;
}

function readGroup(reader: Reader): string | undefined {
  if (reader.pattern.startsWith('?:', reader.at)) reader.at += 2;
  else if (reader.pattern[reader.at] === '?') return undefined;
  return readAlternatives(reader, true);
}

function readClass(reader: Reader): string | undefined {
  const end = reader.pattern.indexOf(']', reader.at + 1);
  const inside = reader.pattern.slice(reader.at, end);
  if (end === -1 || inside.startsWith('^')) return undefined;
  reader.at = end + 1;
  return inside.startsWith('\\') ? escaped(inside[1] ?? '') : inside[0];
}

function escaped(character: string): string | undefined {
  if (character === 'd') return '0';
  if (character === 'w') return 'a';
  if (character === 's') return ' ';
  return /[a-z0-9]/i.test(character) || character === '' ? undefined : character;
}

/** How often the atom before comes: the least that is allowed, or with a wanted length as often as that. */
function readCount(reader: Reader): number | undefined {
  const match = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/.exec(
    reader.pattern.slice(reader.at, reader.at + 20),
  );
  if (match === null) return 1;
  reader.at += match[0].length;
  const [, sign, least, comma, most] = match;
  if (sign === '?') return 0;
  const minimum = sign === '*' ? 0 : Number(least ?? 1);
  const maximum = comma && most ? Number(most) : sign || comma ? mostRepeats : minimum;
  return minimum > mostRepeats ? undefined : Math.max(minimum, Math.min(reader.minimum, maximum));
}
