const closers: Record<string, string> = {
  '"': '"”',
  '“': '”"“',
  '”': '”"',
  '„': '“”"',
  '«': '»',
  '‘': "’'",
  '’': "’'",
  "'": "'’",
  '`': '`',
};
const LONGEST_QUOTE = 6000;
const LONGEST_SINGLE_QUOTE = 300;

type Span = { open: number; close: number };

/**
 * Replaces every quoted part by `{q0}`, `{q1}` …, so that rules can take a quoted word as a value but never read
 * an instruction inside a quotation. The text must hold no braces of its own.
 */
export function takeQuotes(text: string): { text: string; quotes: string[] } {
  const spans = findQuotes(text);
  let result = '';
  let at = 0;
  for (const [index, { open, close }] of spans.entries()) {
    result += `${text.slice(at, open)}{q${index}}${endsSentence(text, close) ? '.' : ''}`;
    at = close + 1;
  }
  return {
    text: result + text.slice(at),
    quotes: spans.map(({ open, close }) => text.slice(open + 1, close).trim()),
  };
}

/** The point inside a quotation ends the sentence around it too when a new one follows. */
function endsSentence(text: string, close: number): boolean {
  return /[.!?]/.test(text[close - 1] ?? '') && /^\s+\p{Lu}/u.test(text.slice(close + 1, close + 8));
}

/** The text at its own length, with every quoted part, marks included, replaced by underscores. */
export function blankQuotes(text: string): string {
  let result = '';
  let at = 0;
  for (const { open, close } of findQuotes(text)) {
    result += text.slice(at, open) + '_'.repeat(close + 1 - open);
    at = close + 1;
  }
  return result + text.slice(at);
}

function findQuotes(text: string): Span[] {
  const spans: Span[] = [];
  /** for each mark, how far on no closer is known to be: looking there again would make the search quadratic */
  const searched = new Map<string, number>();
  let at = 0;
  for (const { 0: mark, index: open } of text.matchAll(/["“”„«‘’'`]/g)) {
    if (open < at || !canOpen(text, open)) continue;
    const { close, end } = findCloser(text, open, Math.max(open + 2, searched.get(mark) ?? 0));
    if (close === undefined) {
      searched.set(mark, end);
      continue;
    }
    spans.push({ open, close });
    at = close + 1;
  }
  return spans;
}

function canOpen(text: string, at: number): boolean {
  const before = text[at - 1] ?? ' ';
  const after = text[at + 1] ?? ' ';
  return /[\s([:,;/=—–-]/.test(before) && (text[at] === '«' || !/\s/.test(after));
}

/** Where the quotation ends, if it does so nearby, and where the search for that ended. */
function findCloser(text: string, open: number, from: number): { close: number | undefined; end: number } {
  const mark = text[open] ?? '';
  const isSingle = mark === "'" || mark === '‘' || mark === '’' || mark === '`';
  const limit = Math.min(text.length, open + (isSingle ? LONGEST_SINGLE_QUOTE : LONGEST_QUOTE));
  for (let at = from; at < limit; at++) {
    const character = text[at] ?? '';
    if (isSingle && character === '\n') return { close: undefined, end: at };
    if (!closers[mark]?.includes(character)) continue;
    if (!isSingle || !/[\p{L}\p{N}]/u.test(text[at + 1] ?? ' ')) return { close: at, end: at };
  }
  return { close: undefined, end: Math.max(from, limit) };
}
