/** What the lines of a language are made of. */
export type Language = {
  name: string;
  blocks: 'braces' | 'indent' | 'none';
  lineComments: string[];
  blockComments: [start: string, end: string][];
  /** characters that begin and end a string on one line */
  quotes: string;
  /** quotes that may go over several lines, longest first */
  longQuotes: string[];
  /** `/…/` may be a regular expression, `=>` makes a function */
  isScript: boolean;
};

const cComments: Pick<Language, 'lineComments' | 'blockComments'> = {
  lineComments: ['//'],
  blockComments: [['/*', '*/']],
};
const braces = (name: string, rest: Partial<Language> = {}): Language => ({
  name,
  blocks: 'braces',
  ...cComments,
  quotes: '"\'',
  longQuotes: [],
  isScript: false,
  ...rest,
});
const plain = (name: string, lineComments: string[], rest: Partial<Language> = {}): Language => ({
  name,
  blocks: 'none',
  lineComments,
  blockComments: [],
  quotes: '"\'',
  longQuotes: [],
  isScript: false,
  ...rest,
});

const script = { longQuotes: ['`'], isScript: true };
const languages: [Language, names: string][] = [
  [braces('javascript', script), 'js mjs cjs jsx node'],
  [braces('typescript', script), 'ts mts cts tsx'],
  [braces('java'), 'java'],
  [braces('kotlin', { longQuotes: ['"""'] }), 'kt kts'],
  [braces('scala', { longQuotes: ['"""'] }), 'sc'],
  [braces('csharp'), 'cs c#'],
  [braces('c'), 'c h'],
  [braces('cpp'), 'cpp cc cxx hpp hh c++'],
  [braces('go', { longQuotes: ['`'] }), 'go golang'],
  // 'a is a lifetime as often as it is a character
  [braces('rust', { quotes: '"' }), 'rs'],
  [braces('swift', { quotes: '"', longQuotes: ['"""'] }), 'swift'],
  [braces('dart', { longQuotes: ['"""', "'''"] }), 'dart'],
  [braces('php', { lineComments: ['//', '#'] }), 'php'],
  [braces('css', { lineComments: [] }), 'css scss less'],
  [plain('python', ['#'], { blocks: 'indent', longQuotes: ['"""', "'''"] }), 'py pyi python3'],
  [plain('ruby', ['#'], { blockComments: [['=begin', '=end']] }), 'rb'],
  [braces('shell', { lineComments: ['#'], blockComments: [] }), 'sh bash zsh'],
  [plain('yaml', ['#']), 'yml yaml'],
  [plain('sql', ['--'], { blockComments: [['/*', '*/']] }), 'sql'],
  [plain('lua', ['--'], { blockComments: [['--[[', ']]']] }), 'lua'],
  [plain('html', [], { blockComments: [['<!--', '-->']], quotes: '' }), 'html htm xml svg vue'],
];

const byName = new Map(
  languages.flatMap(([language, names]) =>
    [language.name, ...names.split(' ')].map((name) => [name, language]),
  ),
);
const unknown = plain('text', [], { quotes: '' });

/** The language that a name or an extension stands for; plain text when it is not known. */
export const findLanguage = (name: string): Language => byName.get(name.toLowerCase()) ?? unknown;

export const languageOfFile = (fileName: string): Language =>
  findLanguage(/\.([^./\\]+)$/.exec(fileName)?.[1] ?? '');

/** When nobody says what it is. */
export function guessLanguage(code: string): Language {
  if (/^#!.*\b(bash|sh|zsh)\b/.test(code)) return findLanguage('shell');
  if (/^#!.*\bpython/.test(code) || /^\s*(def \w+\(.*\).*:|class \w+.*:|from \w+ import )/m.test(code)) {
    return findLanguage('python');
  }
  if (/^\s*package \w+\s*$/m.test(code) && /\bfunc\b/.test(code)) return findLanguage('go');
  if (/\bfn \w+/.test(code) && /\b(let|impl|pub|mut)\b/.test(code)) return findLanguage('rust');
  if (/^\s*#include\b/m.test(code)) return findLanguage('cpp');
  if (/\b(public|private) (static )?(class|void|int|String)\b/.test(code)) return findLanguage('java');
  if (/\b(interface|type) \w+.*[{=]|: (string|number|boolean)\b/.test(code))
    return findLanguage('typescript');
  return /[{};]|=>/.test(code) ? findLanguage('javascript') : unknown;
}
