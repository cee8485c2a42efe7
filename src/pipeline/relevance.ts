/** Characters of a text that are looked at. */
const maxChars = 20_000;
/** The usual constants of BM25: how soon repeating a word stops counting, and how much long texts are held back. */
const saturation = 1.2;
const lengthWeight = 0.75;

/** How well each text fits a query: BM25 over the words they share; 0 when they share none. */
export function rankByRelevance(query: string, texts: readonly string[]): number[] {
  const wanted = new Set(termsOf(query));
  const documents = texts.map(termsOf);
  const average = documents.reduce((total, terms) => total + terms.length, 0) / (documents.length || 1);
  const counts = documents.map((terms) => {
    const count = new Map<string, number>();
    for (const term of terms) if (wanted.has(term)) count.set(term, (count.get(term) ?? 0) + 1);
    return count;
  });
  const holders = new Map<string, number>();
  for (const count of counts)
    for (const term of count.keys()) holders.set(term, (holders.get(term) ?? 0) + 1);
  return counts.map((count, index) => {
    const length = (documents[index]?.length ?? 0) / (average || 1);
    let score = 0;
    for (const [term, times] of count) {
      const inTexts = holders.get(term) ?? 0;
      const rarity = Math.log(1 + (texts.length - inTexts + 0.5) / (inTexts + 0.5));
      score +=
        (rarity * times * (saturation + 1)) /
        (times + saturation * (1 - lengthWeight + lengthWeight * length));
    }
    return score;
  });
}

const word = /[\p{L}\p{N}][\p{L}\p{N}\p{M}_]*/gu;
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]{2,}/u;

/** Words in lower case; scripts without spaces between words give their pairs of characters instead. */
export function termsOf(text: string): string[] {
  const terms: string[] = [];
  for (const [match] of text.slice(0, maxChars).toLowerCase().matchAll(word)) {
    if (unspaced.test(match)) {
      const characters = [...match];
      for (let index = 1; index < characters.length; index += 1)
        terms.push(`${characters[index - 1]}${characters[index]}`);
    } else if (match.length > 1 || /\p{N}/u.test(match)) terms.push(match);
  }
  return terms;
}
