import { expect, test } from 'vitest';
import { detectFormat, detectText } from '../../src/files/detect.ts';

const hex = (digits: string) => Buffer.from(digits, 'hex');
const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');

test.each([
  ['a PNG', hex('89504e470d0a1a0a0000000d'), { type: 'image', mimeType: 'image/png' }],
  ['a JPEG', hex('ffd8ffe000104a464946'), { type: 'image', mimeType: 'image/jpeg' }],
  ['a GIF', Buffer.from('GIF89a\x01\0'), { type: 'image', mimeType: 'image/gif' }],
  ['a WebP', Buffer.from('RIFF\x10\0\0\0WEBPVP8 '), { type: 'image', mimeType: 'image/webp' }],
  ['another RIFF', Buffer.from('RIFF\x10\0\0\0WAVEfmt '), { type: 'unreadable' }],
  ['a PDF', Buffer.from('%PDF-1.7\n'), { type: 'pdf' }],
  ['a PDF behind a line end', Buffer.from('\r\n%PDF-1.7\n'), { type: 'pdf' }],
  [
    'a text about PDFs',
    Buffer.from('A PDF begins with %PDF-1.7, they say.'),
    { type: 'text', encoding: 'utf-8' },
  ],
  ['a zip', hex('504b030414000000'), { type: 'zip' }],
  ['an old Office file', hex('d0cf11e0a1b11ae10000'), { type: 'unreadable' }],
  ['gzip', hex('1f8b0800'), { type: 'unreadable' }],
  ['a program', hex('7f454c4602010100'), { type: 'unreadable' }],
  ['nothing', Buffer.alloc(0), { type: 'text', encoding: 'utf-8' }],
  ['UTF-8', Buffer.from('Grüße, 世界 👋'), { type: 'text', encoding: 'utf-8' }],
  ['UTF-8 with a mark', Buffer.from('\ufeffGrüße'), { type: 'text', encoding: 'utf-8' }],
  ['UTF-16', utf16('Grüße, 世界'), { type: 'text', encoding: 'utf-16le' }],
  ['UTF-16 the other way round', utf16('Grüße').swap16(), { type: 'text', encoding: 'utf-16be' }],
  ['bytes behind a mark', hex('fffe0000010002000300'), { type: 'unreadable' }],
  ['Windows-1252', Buffer.from('Grüße aus Köln\n', 'latin1'), { type: 'text', encoding: 'windows-1252' }],
  ['random bytes', hex('c3280281f0288cbc9f'), { type: 'unreadable' }],
  ['high bytes only', hex('fdfcfbfafdfcfbfa'), { type: 'unreadable' }],
  ['text with NUL', Buffer.from('one\0two'), { type: 'unreadable' }],
])('%s is known by its bytes', (_, bytes, format) => {
  expect(detectFormat(bytes)).toMatchObject(format);
});

const markdown = '# Title\n\nSome *text* with a [link](https://a.example).\n\n- one\n- two\n';
const python = 'import os\n\ndef main():\n    print(os.name)\n\nclass A:\n    pass\n';

test.each([
  ['a page', '<!DOCTYPE html><html><body>Hi</body></html>', 'a.txt', 'html'],
  ['a page with a comment first', '<!-- saved -->\n<html lang="en"><p>Hi</p></html>', 'x', 'html'],
  ['XHTML', '<?xml version="1.0"?><!DOCTYPE html><html></html>', 'x', 'html'],
  ['XML', '<?xml version="1.0"?><a><b/></a>', 'a.html', 'xml'],
  ['XML without a prolog', '<order id="1"><item>2</item></order>', 'a.txt', 'xml'],
  ['prose that begins with a tag', '<b>Note</b> that this is prose, not a tree.', 'a.txt', 'text'],
  ['JSON called CSV', '{"a": 1, "b": [1, 2]}', 'a.csv', 'json'],
  ['a JSON value a line', '{"a":1}\n{"a":2}\n{"a":3}\n', 'log', 'json'],
  ['broken JSON', '{"a": 1, "b": ', 'a.json', 'text'],
  ['a remark in brackets', '[see below] This is text.', 'a.txt', 'text'],
  ['CSV called text', 'id,name\n1,Ann\n2,Bob\n3,Cid\n', 'a.txt', 'csv'],
  ['CSV with quoted commas and lines', 'id,note\n1,"a, b"\n2,"c\nd"\n3,e\n', 'x', 'csv'],
  ['semicolons', 'id;betrag\n1;2,50\n2;3,75\n', 'x.dat', 'csv'],
  ['tabs', 'id\tname\n1\tAnn\n2\tBob\n', 'x', 'csv'],
  ['bars', 'id|name|age\n1|Ann|30\n2|Bob|40\n', 'x', 'csv'],
  ['one column', 'name\nAnn\nBob\n', 'names.csv', 'csv'],
  ['prose called CSV', 'Dear Ann,\nthank you. I will come. It suits me well.\nYours, Bob\n', 'a.csv', 'text'],
  [
    'prose with a comma a line',
    'One, they say.\nTwo, they think.\nThree, they know.\nFour, they hope.\n',
    'a',
    'text',
  ],
  ['Markdown without a name', markdown, 'file', 'markdown'],
  ['a Markdown table', '| a | b |\n|---|---|\n| 1 | 2 |\n\n# Head\n', 'x', 'markdown'],
  ['Markdown by name', 'Just a line.', 'README.md', 'markdown'],
  ['YAML by name', 'a: 1\nb: two\n', 'conf.yml', 'yaml'],
  ['YAML by its beginning', '---\nname: x\nitems:\n  - 1\n', 'x', 'yaml'],
  ['code by name', 'x = 1\n', 'a.py', 'code'],
  ['code by its look', 'function a() {\n  return 1;\n}\nconst b = 2;\n', 'file', 'code'],
  ['a script', '#!/usr/bin/env bash\necho hi\n', 'run', 'code'],
  ['code with rows alike', 'a,b\nc,d\ne,f\n', 'x.py', 'code'],
  ['Python without a name', python, 'file', 'code'],
  ['prose', 'Hello there.\nHow are you?\n', 'a.txt', 'text'],
  ['nothing', '', 'a.txt', 'text'],
])('%s is known by its text', (_, text, name, kind) => {
  expect(detectText(text, name, true).kind).toBe(kind);
});

test('only the beginning of a long file is needed', () => {
  expect(detectText('[{"id": 1, "name": "An', 'x', false).kind).toBe('json');
  expect(detectText('id,name\n1,Ann\n2,Bob\n3,Cid\n4,"Da', 'x', false)).toEqual({
    kind: 'csv',
    delimiter: ',',
  });
});

test.each(['\n', ' \n', '\r\n', '-', '|-', '<a', '[', ' ', '"', '; '])(
  'a long text of nothing but %j is told apart in no time',
  (unit) => {
    const head = `${unit.repeat(64_000 / unit.length)}"`;
    const startedMs = performance.now();
    for (const name of ['notes', 'page.html', 'table.csv']) detectText(head, name, false);
    expect(performance.now() - startedMs).toBeLessThan(400);
  },
);
