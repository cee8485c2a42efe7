import { deflateSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { fitFile } from '../../src/files/select.ts';
import { createWorkerPool, type PoolOptions, type WorkerPool } from '../../src/files/worker-pool.ts';
import { fixture, never, problemOf, read, useReader } from './reader.ts';
import { documentOf, docxOf, paragraph, zipOf } from './zip.ts';

const megabytes = (count: number, byte = 0) => Buffer.alloc(count * 1024 * 1024, byte);

/** One thread for one test. */
function usePool(limits: Partial<PoolOptions>): WorkerPool {
  const usual = { size: 1, timeLimitMs: 20_000, heapMegabytes: 384, bufferBytes: 2 ** 30, idleMs: 1000 };
  const pool = createWorkerPool({ ...usual, ...limits });
  onTestFinished(() => pool.close());
  return pool;
}

const jobOf = (bytes: Uint8Array) => ({
  name: 'file',
  bytes,
  question: '',
  lineStart: undefined,
  lineEnd: undefined,
  isText: false,
});

/** A PDF with one page and this stream of drawing. */
function pdfOf(stream: Uint8Array, more = ''): Buffer {
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<>>>>',
  ];
  const parts: Uint8Array[] = [Buffer.from('%PDF-1.4\n')];
  for (const [index, object] of objects.entries())
    parts.push(Buffer.from(`${index + 1} 0 obj\n${object}\nendobj\n`));
  parts.push(Buffer.from(`4 0 obj\n<</Length ${stream.length}/Filter/FlateDecode>>\nstream\n`), stream);
  parts.push(Buffer.from(`\nendstream\nendobj\ntrailer\n<</Root 1 0 R${more}>>\n%%EOF`));
  return Buffer.concat(parts);
}

test.each([
  ['a zip bomb as Word file', () => docxOf(megabytes(300)), 'inflates to more than 128 MiB'],
  [
    'a zip bomb that states a small size',
    () =>
      zipOf([
        { name: '[Content_Types].xml', content: 'x' },
        { name: 'word/document.xml', content: megabytes(300), statedSize: 1000 },
      ]),
    'is a damaged zip archive',
  ],
  [
    'a zip bomb of many parts',
    () =>
      docxOf(
        'x',
        Array.from({ length: 20 }, (_, index) => ({
          name: `word/media/${index}.png`,
          content: megabytes(10),
        })),
      ),
    'inflates to more than 128 MiB',
  ],
  [
    'a zip of other files',
    () => zipOf([{ name: 'a.txt', content: 'Hi' }]),
    'is a zip archive that is neither .docx nor .xlsx; send the files in it',
  ],
  [
    'an encrypted zip',
    () => docxOf(documentOf(''), [{ name: 'word/x.xml', content: 'x', isEncrypted: true }]),
    'is encrypted; send it without a password',
  ],
  [
    'an encrypted Office file',
    () => Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), megabytes(1)]),
    'is an encrypted or old Office document; send it without a password as .docx or .xlsx',
  ],
  ['half a Word file', () => fixture('handbook.docx').subarray(0, 5000), 'is a damaged zip archive'],
  [
    'a Word file without a document',
    () =>
      zipOf([
        { name: '[Content_Types].xml', content: '<Types/>' },
        { name: 'word/x.xml', content: '<x/>' },
      ]),
    'is a damaged .docx file',
  ],
  ['a Word file that is no XML', () => docxOf('{"not": "xml"}'), 'is a damaged .docx file'],
  [
    'a workbook without sheets',
    () =>
      zipOf([
        { name: '[Content_Types].xml', content: '<Types/>' },
        { name: 'xl/workbook.xml', content: '<x/>' },
      ]),
    'is a damaged .xlsx file',
  ],
  ['half a workbook', () => fixture('stock.xlsx').subarray(0, 9000), 'is a damaged zip archive'],
  [
    'a PDF of garbage',
    () =>
      Buffer.concat([
        Buffer.from('%PDF-1.7\n'),
        Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251)),
      ]),
    'is a damaged PDF',
  ],
  ['a PDF that is only a beginning', () => Buffer.from('%PDF-1.7\n'), 'is a damaged PDF'],
  [
    'an encrypted PDF',
    () =>
      pdfOf(
        deflateSync('BT ET'),
        '/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<0000000000000000000000000000000000000000000000000000000000000000>/U<0000000000000000000000000000000000000000000000000000000000000000>>>/ID[<00><00>]',
      ),
    'is encrypted; send it without a password',
  ],
  [
    'a PDF without text',
    () => pdfOf(deflateSync('0 0 m 9 9 l S')),
    'is a PDF without text, such as a scan; send its pages as images',
  ],
  [
    'an unknown binary file',
    () => Buffer.from('00fffe00010203', 'hex'),
    'is no text and no type of file that can be read',
  ],
  [
    'text with NUL bytes',
    () => Buffer.from('name\0password\n'),
    'is no text and no type of file that can be read',
  ],
  [
    'text that is no UTF-8',
    () => Buffer.from([0xc3, 0x28, 0xa0, 0xa1, 0xe2, 0x28, 0xa1]),
    'is no text and no type of file that can be read',
  ],
])('%s is refused', async (_, make, problem) => {
  expect(await problemOf(make(), { name: 'report.txt' })).toBe(problem);
});

test('a Word file that declares huge entities does not unfold them', async () => {
  const levels = Array.from(
    { length: 12 },
    (_, level) => `<!ENTITY e${level + 1} "${`&e${level};`.repeat(10)}">`,
  );
  const declaration = `<!DOCTYPE w [<!ENTITY e0 "lollol">${levels.join('')}]>`;
  const bytes = docxOf(documentOf(paragraph('&e12;'), declaration));
  const text = await read(bytes).then(
    (file) => file.text,
    (error: Error) => error.message,
  );
  expect(text?.length).toBeLessThan(200);
});

test('a Word file may be nested deeply', async () => {
  const bytes = docxOf(
    documentOf(
      `${'<w:sdt><w:sdtContent>'.repeat(20_000)}${paragraph('deep')}${'</w:sdtContent></w:sdt>'.repeat(20_000)}`,
    ),
  );
  const outcome = await read(bytes).then(
    ({ kind }) => kind,
    (error: Error) => error.message,
  );
  expect(['docx', 'files[0].content_base64 is a damaged .docx file.']).toContain(outcome);
});

test('JSON nested 100,000 levels deep is read', async () => {
  const { kind, outline } = await read(Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`));
  expect(kind).toBe('json');
  expect(outline).toMatch(/It is nested 100000 levels deep\.$/);
  const objects = await read(Buffer.from(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`));
  expect(objects.kind).toBe('json');
});

test('HTML nested 100,000 levels deep is read', async () => {
  const { kind } = await read(Buffer.from(`<!doctype html>${'<div>'.repeat(100_000)}deep`));
  expect(kind).toBe('html');
});

test('XML nested 100,000 levels deep is read', async () => {
  const { kind } = await read(
    Buffer.from(`<?xml version="1.0"?>${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`),
  );
  expect(kind).toBe('xml');
});

test('YAML nested 20,000 levels deep is read', async () => {
  expect((await read(Buffer.from(`a: ${'['.repeat(20_000)}`), { name: 'a.yaml' })).kind).toBe('yaml');
});

test('YAML with a mistake at every character is given up soon', async () => {
  const reader = useReader({ timeLimitMs: 5000 });
  const { kind } = await read(`a: ${'"'.repeat(200_000)}`, { name: 'a.yaml', reader });
  expect(kind).toBe('yaml');
});

test('a table of 100,000 columns is read', async () => {
  const row = (cell: (column: number) => string) =>
    Array.from({ length: 100_000 }, (_, column) => cell(column)).join(',');
  const { kind, outline } = await read(
    Buffer.from([row((column) => `c${column}`), row(String), row(String)].join('\n')),
    { name: 'wide.csv' },
  );
  expect(kind).toBe('csv');
  expect(outline).toContain('2 rows below a head, 100,000 columns');
  expect(outline).toContain('- and 99,900 more columns');
  expect(outline.length).toBeLessThan(20_000);
});

test('text from right to left keeps its order', async () => {
  const text = 'שלום עולם\n\u202eevil\u202c\nمرحبا';
  expect((await read(Buffer.from(text))).text).toBe(text);
});

test('NUL in a text that came as a string stays inside', async () => {
  expect((await read('a\0b')).text).toBe('a\0b');
});

test('a text of the same letter only is read', async () => {
  const file = await read(Buffer.alloc(5_000_000, 'a'), { question: 'aaaa' });
  expect(fitFile(file, 500).tokens).toBeLessThanOrEqual(500);
});

test.each(['../../etc/passwd', 'a\n<file name="b">.txt', 'quo"te.txt', 'x'.repeat(1000)])(
  'a file called %j is only that',
  async (name) => {
    expect((await read('Hello.', { name })).name).toBe(name);
  },
);

test('a file that takes too long is refused, and the next one is read', async () => {
  const slow = useReader({ timeLimitMs: 1 });
  const rows = Buffer.from('a,b\n1,2\n'.repeat(500_000));
  expect(await problemOf(rows, { reader: slow })).toBe('takes more than 0.001 seconds to read');
  const reader = useReader();
  expect((await read(fixture('survey.pdf'), { reader })).kind).toBe('pdf');
});

const huge = 'needs too much memory to be read';

test.each([
  ['values', { heapMegabytes: 24 }, () => docxOf(documentOf(paragraph('word').repeat(100_000)))],
  ['buffers', { bufferBytes: 10_000_000 }, () => pdfOf(deflateSync(megabytes(1000, 32)))],
])('a file whose %s need too much memory ends its thread only', async (_, limits, make) => {
  const pool = usePool(limits);
  const failed = expect(pool.run(jobOf(make()), [], never)).rejects.toThrow(huge);
  // waits for the same place
  const next = pool.run(jobOf(Buffer.from('a,b\n1,2\n3,4\n')), [], never);
  await failed;
  expect(await next).toMatchObject({ content: { kind: 'csv' } });
});

test('an aborted run gives its thread back at once', async () => {
  const pool = usePool({});
  const controller = new AbortController();
  const rows = () => jobOf(Buffer.from('a,b\n1,"2"\n'.repeat(2_000_000)));
  // one of them is being read, the others wait
  const reads = Array.from({ length: 3 }, () => pool.run(rows(), [], controller.signal));
  const next = pool.run(jobOf(fixture('stock.xlsx')), [], never);
  const reason = new Error('the caller left');
  controller.abort(reason);
  for (const outcome of await Promise.allSettled(reads))
    expect(outcome).toEqual({ status: 'rejected', reason });
  expect(await next).toMatchObject({ content: { kind: 'xlsx' } });
});

test('closing fails what is being read', async () => {
  const reader = useReader();
  const reading = read(Buffer.from('a,b\n1,2\n'.repeat(1_000_000)), { reader });
  const failed = expect(reading).rejects.toMatchObject({ type: 'shutting_down' });
  await reader.close();
  await failed;
  await expect(read(fixture('stock.xlsx'), { reader })).rejects.toMatchObject({ type: 'shutting_down' });
});

test('the event loop turns while a table is parsed', async () => {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  const reading = read(Buffer.from('id,name,note\n1,Ann,"a ""b"""\n'.repeat(300_000)), { name: 'a.csv' });
  setImmediate(turn);
  await reading;
  isOver = true;
  expect(turns).toBeGreaterThan(1000);
});
