const maxTitleChars = 60;
/** Where a title may be found at most. */
const maxExamined = 2000;

/** Control characters, and those that turn the direction of the text around them. */
const unwanted = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/gu;

/** A text on one line, without characters that could disturb a list. */
export function toLine(text: string): string {
  return text.toWellFormed().replace(unwanted, ' ').replace(/\s+/g, ' ').trim();
}

/** A title for a conversation that starts with this message: its first line or sentence, cut at a word. */
export function titleOf(message: string): string {
  const lines = message.slice(0, maxExamined).split(/[\r\n\u2028\u2029]/);
  const line = lines.map(toLine).find((candidate) => candidate !== '') ?? '';
  const sentence = /^.{12,}?[.!?。！？](?=\s|$)/u.exec(line)?.[0] ?? line;
  if (sentence.length <= maxTitleChars) return sentence;
  const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(sentence);
  let cut = '';
  for (const { segment } of graphemes) {
    if (cut.length + segment.length > maxTitleChars - 1) break;
    cut += segment;
  }
  const isWhole = /^\s/.test(sentence.slice(cut.length));
  const words = isWhole ? cut : cut.replace(/\s+\S*$/, '');
  return `${(words.length > maxTitleChars / 2 ? words : cut).trimEnd()}…`;
}
