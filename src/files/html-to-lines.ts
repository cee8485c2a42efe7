import { type FormatCallback, type HtmlToTextOptions, htmlToText } from 'html-to-text';

const maxDepth = 500;

const heading: FormatCallback = (element, walk, builder) => {
  builder.openBlock({ leadingLineBreaks: 2 });
  builder.addInline(`${'#'.repeat(Number(element.name?.slice(1)))} `);
  walk(element.children, builder);
  builder.closeBlock({ trailingLineBreaks: 2 });
};

const row: FormatCallback = (element, walk, builder) => {
  builder.openBlock({ leadingLineBreaks: 1 });
  walk(element.children, builder);
  builder.closeBlock({ trailingLineBreaks: 1 });
};

const cell: FormatCallback = (element, walk, builder) => {
  builder.addInline('| ');
  walk(element.children, builder);
  builder.addInline(' ');
};

/** A block inside a cell, which must not break the row. */
const cellBlock: FormatCallback = (element, walk, builder) => {
  walk(element.children, builder);
  builder.addInline(' ');
};

const headings = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'];

const options: HtmlToTextOptions = {
  wordwrap: false,
  limits: { maxDepth, maxInputLength: Number.MAX_SAFE_INTEGER },
  formatters: { markedHeading: heading, row, cell, cellBlock },
  selectors: [
    { selector: 'a', options: { hideLinkHrefIfSameAsText: true, linkBrackets: ['(', ')'] } },
    { selector: 'img', format: 'skip' },
    { selector: 'tr', format: 'row' },
    { selector: 'td', format: 'cell' },
    { selector: 'th', format: 'cell' },
    ...['td > p', 'th > p', 'td > div', 'th > div'].map((selector) => ({ selector, format: 'cellBlock' })),
    ...headings.map((selector) => ({ selector, format: 'markedHeading' })),
    ...['title', 'script', 'style', 'noscript', 'template', 'svg'].map((selector) => ({
      selector,
      format: 'skip',
    })),
  ],
};

/** Characters that are parsed at a time: a tree takes about twenty times the memory of its text. */
const pieceLength = 2 * 1024 * 1024;
const hidden = /<(script|style)\b[^>]{0,2000}>[\s\S]*?<\/\1\s*>/gi;
const blockStart = /<(?:p|div|tr|h[1-6]|li|section|article|table)\b/gi;

/** The text that a page shows: headings marked as in Markdown, a line for each row of a table. */
export function htmlToLines(html: string): string {
  const title = /<title[^>]{0,200}>([^<]{1,500})<\/title>/i.exec(html.slice(0, 64 * 1024))?.[1]?.trim();
  const pieces = html.length <= pieceLength ? [html] : [...piecesOf(html.replace(hidden, ''))];
  const text = pieces
    .map((piece) => htmlToText(piece, options))
    .join('\n')
    .replace(/[ \t]+$/gm, '');
  return title === undefined || title === '' || text.includes(`# ${title}`)
    ? text
    : `Title: ${title}\n\n${text}`;
}

/** A long page in pieces that begin with a block. What encloses them does not matter for their text. */
function* piecesOf(html: string): Generator<string> {
  let start = 0;
  while (start < html.length) {
    blockStart.lastIndex = start + pieceLength;
    const end = blockStart.exec(html)?.index ?? html.length;
    yield html.slice(start, end);
    start = end;
  }
}
