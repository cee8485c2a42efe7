import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { countLines, readLines } from '../../src/files/text-file.ts';
import { fixture, never, problemOf, read, sourceOf, useReader } from './reader.ts';
import { documentOf, docxOf, paragraph } from './zip.ts';

const csv = (rows: string[]) => Buffer.from(rows.join('\n'));

test('a PDF becomes its pages', async () => {
  const file = await read(fixture('survey.pdf'), { name: 'notes.txt' });
  expect(file.kind).toBe('pdf');
  expect(file.text?.startsWith('[page 1]\nHarbour survey\nThis report covers')).toBe(true);
  expect(file.text).toContain('\n\n[page 12]\nFindings\nThe deepest berth is berth nine in Port Alder');
  expect(file.outline).toMatch(
    /^79 lines\. Headings:\nline 1: page 1: Harbour survey\nline 5: page 2: Page 2/,
  );
});

test('a Word file becomes its text with headings and the rows of its tables', async () => {
  const file = await read(fixture('handbook.docx'));
  expect(file.kind).toBe('docx');
  expect(file.text).toContain('## Opening hours\n\nThe workshop opens at seven');
  expect(file.text).toContain('| Day | Duty\n| Monday | Ines Köhler\n| Tuesday | Tomás Ruiz\n');
});

test('a workbook becomes its sheets as CSV, with what their columns hold', async () => {
  const file = await read(fixture('stock.xlsx'), { name: 'stock.csv' });
  expect(file.kind).toBe('xlsx');
  expect(file.text?.split('\n').slice(0, 3)).toEqual([
    '## Sheet "Stock"',
    'sku,name,stock,price,added',
    'SKU-1001,Part 1,1,1.25,2025-01-02',
  ]);
  expect(file.text).toContain('SKU-1217,"Brass hinge, large",17,271.25,2025-01-22');
  expect(file.outline).toContain('Sheet "Stock": 301 rows, 5 columns; its row 1 is line 2. Columns:');
  expect(file.outline).toContain('- price: numbers 1.25 to 375, mean 188.125, sum 56437.5; 300 distinct');
  expect(file.outline).toContain('- city: text; 2 distinct; "Tromsø" (1), "Málaga" (1)');
});

test('a table is described by its columns and sample rows', async () => {
  const rows = Array.from({ length: 100 }, (_, index) => {
    const city = index % 4 === 0 ? '' : ['Oslo', 'Rome', 'Lyon'][index % 3];
    return `${index + 1},${city},2024-01-${String((index % 28) + 1).padStart(2, '0')},"1,${100 + index}.5"`;
  });
  const { kind, outline } = await read(csv(['id,city,day,price', ...rows]));
  expect(kind).toBe('csv');
  expect(outline.split('\n')).toEqual([
    'Table: 100 rows below a head, 4 columns, separated by ",".',
    'Columns:',
    '- id: whole numbers 1 to 100, mean 50.5, sum 5050; 100 distinct',
    '- city: text; 3 distinct; "Rome" (25), "Lyon" (25), "Oslo" (25); 25 empty',
    '- day: dates 2024-01-01 to 2024-01-28; 28 distinct; such as "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"',
    '- price: numbers 1100.5 to 1199.5, mean 1150, sum 115000; 100 distinct',
    'First lines:',
    'id,city,day,price',
    '1,,2024-01-01,"1,100.5"',
    '2,Rome,2024-01-02,"1,101.5"',
    'Lines from the rest:',
    expect.stringMatching(/^line 25: 24,/),
    expect.stringMatching(/^line 50: 49,/),
    expect.stringMatching(/^line 75: 74,/),
  ]);
});

test('a table with decimal commas has numbers too', async () => {
  const { outline } = await read(csv(['Ort;Betrag', 'Köln;1.000,50', 'Bonn;2,50', 'Ulm;7']));
  expect(outline).toContain('3 rows below a head, 2 columns, separated by ";"');
  expect(outline).toContain('- Betrag: numbers 2.5 to 1000.5, mean 336.667, sum 1010; 3 distinct');
});

test('a table without a head has numbered columns', async () => {
  const { outline } = await read(csv(['1,2', '3,4', '5,6']));
  expect(outline).toContain('Table: 3 rows, 2 columns');
  expect(outline).toContain('- column 2: whole numbers 2 to 6, mean 4, sum 12; 3 distinct');
});

test('a table whose quote is never closed is described up to there', async () => {
  const { text, outline } = await read(
    csv(['a,b', '1,2', '3,4', '5,6', ...Array(60).fill('7,8'), '"9,10', '11,12']),
  );
  expect(text).toContain('11,12');
  expect(outline).toContain('Only the rows up to there could be counted: a quoted field is never closed.');
});

test('JSON is described by its shape', async () => {
  const people = Array.from({ length: 3 }, (_, index) => ({
    name: `P${index}`,
    age: 20 + index,
    ...(index === 1 ? { tags: ['x', 'y'] } : {}),
  }));
  const { kind, outline } = await read(JSON.stringify({ people, total: 3, next: null, 'a "b"': true }));
  expect(kind).toBe('json');
  expect(outline.split('\n')).toEqual([
    'JSON:',
    '- the whole: object with 4 keys',
    '  - people: array of 3 items',
    '    - each item: object with 3 keys',
    '      - name: string such as "P0", "P1", "P2"',
    '      - age: number 20 to 22, mean 21, sum 63',
    '      - tags: array of 2 items (string such as "x", "y"), in 1 of 3',
    '  - total: number 3',
    '  - next: null',
    '  - a \\"b\\": boolean',
  ]);
});

test('YAML is described by its shape, also when aliases would unfold it', async () => {
  expect((await read('---\nname: x\nports:\n  - 80\n  - 443\n')).outline.split('\n')).toEqual([
    'YAML:',
    '- the whole: object with 2 keys',
    '  - name: string such as "x"',
    '  - ports: array of 2 items (number 80 to 443, mean 261.5, sum 523)',
  ]);
  const levels = Array.from({ length: 20 }, (_, level) => {
    return `l${level + 1}: &l${level + 1} [${Array(9).fill(`*l${level}`).join(', ')}]`;
  });
  const bomb = await read(`l0: &l0 lol\n${levels.join('\n')}\n`, { name: 'bomb.yaml' });
  expect(bomb.kind).toBe('yaml');
  expect(bomb.outline).toMatch(/^YAML with the keys l0, l1, l2/);
});

test('XML is described by its elements, and nothing in it is resolved', async () => {
  const entities = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "&x;&x;">]>';
  const { kind, text, outline } = await read(
    `<?xml version="1.0"?>${entities}<shop><item id="1"><name>&y;</name></item><item id="2"/></shop>`,
  );
  expect(kind).toBe('xml');
  expect(text).toContain('<name>&y;</name>');
  expect(outline.split('\n')).toEqual([
    'XML:',
    '- shop: element',
    '  - item: element, 2 times',
    '    - @id: attribute',
    '    - name: element',
  ]);
});

test('a page becomes what it shows', async () => {
  const { kind, text } = await read(
    '<!doctype html><title>Prices</title><style>p{}</style><script>track()</script>' +
      '<h2>Tea &amp; coffee</h2><p>Two  euros.</p><table><tr><th>A<th>B</tr><tr><td>1<td>2</tr></table>',
  );
  expect(kind).toBe('html');
  expect(text).toBe('Title: Prices\n\n## Tea & coffee\n\nTwo euros.\n\n| A | B\n| 1 | 2');
});

test('prose has its headings as outline, and code its declarations', async () => {
  const filler = 'Some words that fill the page.\n'.repeat(40);
  const prose = await read(`# One\n${filler}\n## Two\n\`\`\`\n# no heading\n\`\`\`\n${filler}`, {
    name: 'a.md',
  });
  expect(prose.outline).toBe('87 lines. Headings:\nline 1: # One\nline 43: ## Two');
  const code = [
    'import x from "y";',
    'export async function loadAll(ids: string[]) {',
    '  if (ids.length > 0) {',
    '    return call(ids);',
    '  }',
    '}',
    'const add = (a: number, b: number) => a + b;',
    'class Store {',
    '  private read(key: string): string {',
    '    return key;',
    '  }',
    '}',
    ...Array(60).fill('// a comment that makes the file longer'),
  ];
  expect((await read(code.join('\n'), { name: 'a.ts' })).outline.split('\n')).toEqual([
    '72 lines. Declarations:',
    'line 2: export async function loadAll(ids: string[]) {',
    'line 7: const add = (a: number, b: number) => a + b;',
    'line 8: class Store {',
    'line 9: private read(key: string): string {',
  ]);
  const others = [
    'def area(r):',
    'func (s *Store) Get(id int) error {',
    'pub fn new() -> Self {',
    'CREATE TABLE t (id int);',
  ];
  const { outline } = await read([...others, ...Array(100).fill('    x = compute(x)  # again')].join('\n'), {
    name: 'a.py',
  });
  expect(outline.split('\n').slice(1)).toEqual(others.map((line, index) => `line ${index + 1}: ${line}`));
});

test('text in any encoding comes as UTF-8 without its mark', async () => {
  const text = 'Grüße,\nwie geht’s?\n'.replace('’', "'");
  for (const bytes of [
    Buffer.from(`\ufeff${text}`),
    Buffer.from(`\ufeff${text}`, 'utf16le'),
    Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
    Buffer.from(text, 'latin1'),
  ]) {
    expect((await read(bytes)).text).toBe(text);
  }
});

test('a body has the whole text, whatever range was asked for', async () => {
  const lines = Array.from({ length: 50_000 }, (_, index) => `Zeile ${index + 1} – ä`);
  const file = await read(Buffer.from(lines.join('\n')), { lineStart: 400, lineEnd: 402 });
  expect(file).toMatchObject({ lineStart: 400, lineEnd: 402, outline: '', passages: [] });
  expect(file.text).toBe('Zeile 400 – ä\nZeile 401 – ä\nZeile 402 – ä');
  expect(countLines(file.body)).toBe(50_000);
  expect(readLines(file.body, 49_999, 60_000)).toBe('Zeile 49999 – ä\nZeile 50000 – ä');
  expect(file.body.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test('lines that an extracted text does not have are refused', async () => {
  const reading = read(fixture('survey.pdf'), { lineStart: 80 });
  await expect(reading).rejects.toMatchObject({
    type: 'invalid_file',
    message: 'files[0].line_start is 80, but the file has 79 lines.',
    problems: [{ path: 'files[0].line_start', message: 'is 80, but the file has 79 lines' }],
  });
});

test('images come as images, for models that see', async () => {
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
  const reader = useReader();
  const request = { sources: [sourceOf(png), sourceOf('Hi')], question: '', acceptsImages: true };
  const { files, images } = await reader.ingest(request, never);
  expect(images).toEqual([{ type: 'image', mimeType: 'image/png', data: png.toString('base64') }]);
  expect(files.map(({ text }) => text)).toEqual(['Hi']);
  expect(() => reader.check({ ...request, acceptsImages: false })).toThrow(Fault);
  expect(await problemOf(png)).toBe('is an image, which no available model takes');
});

test('a file is fetched by what the source gives', async () => {
  expect((await read(async () => Buffer.from('fetched'))).text).toBe('fetched');
  const fault = new Fault('invalid_file', 'gone');
  await expect(read(() => Promise.reject(fault))).rejects.toBe(fault);
});

test('all files together have a limit', async () => {
  const reader = useReader({ maxFileBytes: 10 });
  const sources = [sourceOf('123456'), sourceOf('123456', { path: 'files[1].content' })];
  await expect(reader.ingest({ sources, question: '', acceptsImages: false }, never)).rejects.toMatchObject({
    problems: [{ path: 'files[1].content', message: 'makes the files larger than 10 bytes together' }],
  });
});

test('a long Word file is found by its headings', async () => {
  const parts = Array.from({ length: 400 }, (_, index) =>
    paragraph(`Paragraph ${index} about nothing much.`),
  );
  parts[200] = paragraph('The door code is 7391.');
  const { passages } = await read(docxOf(documentOf(parts.join(''))), { question: 'What is the door code?' });
  expect(passages[0]?.text).toContain('The door code is 7391.');
});
