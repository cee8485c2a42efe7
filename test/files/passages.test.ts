import { expect, test } from 'vitest';
import { fitFile } from '../../src/files/select.ts';
import type { TextFile } from '../../src/files/text-file.ts';
import { countTokens } from '../../src/llm/tokens.ts';
import { fixture, read } from './reader.ts';

/** A log of lines that share all their words. */
function logOf(lines: number, at: Record<number, string> = {}): Buffer {
  const text: string[] = [];
  for (let line = 1; line <= lines; line += 1) {
    text.push(
      at[line] ?? `2024-05-01 service started worker ${(line * 7919) % 9973} with status ok and no message`,
    );
  }
  return Buffer.from(text.join('\n'));
}

/** A PDF of so many pages with a line each. */
function pdfWith(pages: number): Buffer {
  const kids = Array.from({ length: pages }, (_, index) => `${4 + 2 * index} 0 R`);
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', `<</Type/Pages/Kids[${kids.join(' ')}]/Count ${pages}>>`];
  objects.push('<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>');
  for (let page = 1; page <= pages; page += 1) {
    const stream = `BT /F 9 Tf 9 9 Td (This is the text of page ${page} which says nothing else.) Tj ET`;
    objects.push(
      `<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 99]/Contents ${objects.length + 2} 0 R/Resources<</Font<</F 3 0 R>>>>>>`,
      `<</Length ${stream.length}>>\nstream\n${stream}\nendstream`,
    );
  }
  const numbered = objects.map((object, index) => `${index + 1} 0 obj\n${object}\nendobj\n`);
  return Buffer.from(`%PDF-1.4\n${numbered.join('')}trailer\n<</Root 1 0 R>>\n%%EOF`);
}

const best = ({ passages }: TextFile) => passages[0]?.text;

test('a question about the middle of 20 MB finds its line', async () => {
  const bytes = logOf(300_000, { 151234: '2024-05-02 the turbine in hall seven overheated at noon' });
  expect(bytes.length).toBeGreaterThan(20_000_000);
  const file = await read(bytes, { question: 'When did the turbine overheat?' });
  expect(best(file)).toContain('the turbine in hall seven overheated at noon');
  expect(file.text).toBeUndefined();
  expect(file.passages.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(1024 * 1024);
  const fitted = fitFile(file, 3000);
  expect(fitted.text).toContain('the turbine in hall seven overheated at noon');
  expect(fitted.text).toMatch(/^\[lines 1-\d+\]|^\[… lines 1-\d+ left out …\]/);
  expect(countTokens(fitted.text)).toBe(fitted.tokens);
  expect(fitted.tokens).toBeLessThanOrEqual(3000);
  expect(fitted.tokens).toBeGreaterThan(1000);
});

const at = 5_000;
test.each([
  ['a line by its number', 'What does line 5,000 say?', 'alpha'],
  ['a line in German', 'Was steht in Zeile 5.000?', 'alpha'],
  ['lines', 'Explain lines 4990 to 5010.', 'alpha'],
  ['a quoted phrase', 'Where is "disk full (sda1)" reported?', 'ERROR disk full (sda1)'],
  ['a number', 'What happened to order 4711?', 'order 4711 was lost'],
  ['a number written otherwise', 'Who owes 1,250,000?', 'owes 1250000 in all'],
  ['a camelCase name', 'What does getUserName return?', 'return getUserName(id);'],
  ['a word in a camelCase name', 'How many retries are there?', 'const maxRetries = 3;'],
  ['a word in a snake_case name', 'How many retries are there?', 'MAX_RETRIES = 3'],
  ['a path', 'What is in src/app/main.ts?', 'opened src/app/main.ts'],
  ['an address', 'Who is ann.lee@mail.example?', 'login by ann.lee@mail.example'],
  ['another ending', 'Which invoices are overdue?', 'the invoice is overdue since May'],
  ['Greek', 'Πού είναι η Αθήνα;', 'η Αθήνα είναι εδώ'],
  ['Chinese', '第五章的利润是多少?', '去年的利润是三百万'],
  ['Hebrew', 'איפה המפתח?', 'המפתח מתחת לשטיח'],
  ['Arabic', 'أين المفتاح؟', 'المفتاح تحت السجادة'],
  ['Russian', 'Где лежит ключ?', 'ключ лежит под ковром'],
])('%s is found', async (_, question, line) => {
  expect(best(await read(logOf(10_000, { [at]: line }), { question }))?.split('\n')).toContain(line);
});

test('a number is not found within a longer one', async () => {
  const bytes = logOf(10_000, {
    2000: 'order 547110 came',
    5000: 'order 54711 came',
    7000: 'order 154711 came',
  });
  const { passages } = await read(bytes, { question: 'What about 54711?' });
  const found = passages.filter(({ score }) => score > (passages[0]?.score ?? 0) / 2);
  expect(found.map(({ focus }) => focus)).toEqual([5000]);
});

test('a row of a table is counted below its head, with fields of several lines', async () => {
  const rows = Array.from({ length: 5000 }, (_, index) => {
    return index === 99 ? `100,"a note\nof three\nlines"` : `${index + 1},note ${index + 1}`;
  });
  const bytes = Buffer.from(['id,note', ...rows].join('\n'));
  const { passages } = await read(bytes, { question: 'Show row 3,000.' });
  expect(passages[0]?.text.split('\n')).toContain('3000,note 3000');
  expect(passages[0]).toMatchObject({ focus: 3003 });
});

test('a page of a PDF is found by its number', async () => {
  const file = await read(fixture('survey.pdf'), { question: 'What does page 12 say?' });
  expect(file.passages).toEqual([]);
  expect(fitFile(file, 10_000).text).toContain('berth nine in Port Alder');
  const long = await read(pdfWith(120), { question: 'What does page 77 say?' });
  expect(best(long)?.trim()).toBe('[page 77]\nThis is the text of page 77 which says nothing else.');
});

test('one line of 10 MB is cut where it has spaces or signs', async () => {
  const words = Array.from({ length: 1_300_000 }, (_, index) => `w${index}`);
  words[650_000] = 'zanzibar';
  const file = await read(Buffer.from(words.join(' ')), { question: 'What is beside Zanzibar?' });
  expect(file).toMatchObject({ lineStart: 1, lineEnd: 1 });
  expect(best(file)).toContain(' w649999 zanzibar w650001 ');
  expect(file.passages.every(({ text }) => text.length <= 2000 && /^w?\S/.test(text))).toBe(true);
  const fitted = fitFile(file, 4000);
  expect(fitted.text).toContain('[… a part of line 1 left out …]');
  expect(fitted.leftOut).toBe('parts of long lines');
});

test('text without spaces is not cut within a character', async () => {
  const file = await read(Buffer.from('😀漢é'.repeat(50_000)), { question: 'x' });
  expect(file.passages.map(({ text }) => text).join('')).not.toContain('\ufffd');
});

test('only the asked lines are looked through', async () => {
  const bytes = logOf(20_000, { 100: 'the heron is outside', 15000: 'the heron is inside' });
  const { passages } = await read(bytes, {
    question: 'Where is the heron?',
    lineStart: 14_000,
    lineEnd: 16_000,
  });
  expect(passages[0]?.text).toContain('the heron is inside');
  expect(passages.some(({ text }) => text.includes('outside'))).toBe(false);
});

test('without a find the beginning and parts from all over stand for the file', async () => {
  const { passages } = await read(logOf(100_000), { question: 'Sum it up.' });
  expect(passages[0]?.lineStart).toBe(1);
  const middle = passages.slice(0, 30).map(({ lineStart }) => lineStart);
  expect(Math.max(...middle)).toBeGreaterThan(80_000);
});

test('passages end with paragraphs and functions', async () => {
  const functions = Array.from({ length: 60 }, (_, index) => {
    const body = Array.from(
      { length: 12 },
      (_, line) => `  const value${line} = compute(${index}, ${line});\n\n`,
    );
    return `function step${index}() {\n${body.join('')}}\n`;
  });
  const { passages } = await read(Buffer.from(functions.join('\n')), {
    name: 'a.js',
    question: 'What does step7 do?',
  });
  expect(passages[0]?.text).toMatch(/^function step\d+\(\) \{\n/);
  expect(passages[0]?.text).toContain('function step7()');
});

test('a file that fits goes whole, with what it holds when there is room', async () => {
  const file = await read(Buffer.from('id,name\n1,Ann\n2,Bob\n3,Cid'));
  const whole = fitFile(file, file.tokens);
  expect(whole).toEqual({ text: file.text, tokens: file.tokens, lineEnd: 4, leftOut: undefined });
  const framed = fitFile(file, 1000);
  expect(framed.text.startsWith('[what the file holds]\nTable: 3 rows')).toBe(true);
  expect(framed.text.endsWith('\n[lines 1-4]\nid,name\n1,Ann\n2,Bob\n3,Cid')).toBe(true);
  expect(framed.leftOut).toBeUndefined();
});

test('where not even the best passage fits, the lines around the find are sent', async () => {
  const bytes = logOf(5000, { 2500: 'the vault opens with 0451' });
  const file = await read(bytes, { question: 'How is the vault opened?' });
  const fitted = fitFile(file, 120);
  expect(fitted.text).toContain('\nthe vault opens with 0451\n');
  expect(fitted.tokens).toBeLessThanOrEqual(120);
});

test('with room for nothing a note is left', async () => {
  const file = await read(logOf(5000));
  expect(fitFile(file, 0)).toMatchObject({ text: '[… cut: the file goes on to line 5000 …]', lineEnd: 1 });
});

test('every size fits', async () => {
  const file = await read(fixture('stock.xlsx'), { question: 'Which part costs 271.25?' });
  for (const most of [60, 120, 250, 500, 1000, 2000, 4000, 6000, 8000]) {
    expect(fitFile(file, most).tokens).toBeLessThanOrEqual(most);
  }
});

test('with room for no passage, a long file shows its beginning under its own lines', async () => {
  const lines = Array.from({ length: 12_000 }, (_, index) => `line ${index + 1} tells of ordinary things`);
  lines[6999] = 'the zebra lives in a house with many doors and even more windows than anybody ever counted';
  const file = await read(lines.join('\n'), { question: 'Where does the zebra live?' });
  expect(file.text).toBeUndefined();
  const { text, lineEnd, leftOut } = fitFile(file, 28);
  expect(text).toBe('line 1 tells of ordinary things\n[… cut: the file goes on to line 12000 …]');
  expect([lineEnd, leftOut]).toEqual([1, 'lines 2-12000']);
});
