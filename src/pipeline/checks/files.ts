import {
  type EvaluationInput,
  type Finding,
  failed,
  folded,
  type GivenFile,
  passed,
  withoutFences,
} from './finding.js';

const name = 'files_cited_exist';

const extensions =
  'txt|text|log|md|markdown|rst|csv|tsv|json|jsonl|ya?ml|toml|ini|cfg|conf|env|xml|html?|pdf|docx?|xlsx?|pptx?|odt|rtf|tex|py|js|mjs|cjs|ts|tsx|jsx|java|kt|c|h|cc|cpp|hpp|cs|go|rs|rb|php|sh|sql|r|swift|scala|ipynb|tf|proto|css|scss|vue';

const fileName = String.raw`(?<![\p{L}\p{N}_.\-/\\])[\p{L}\p{N}_][\p{L}\p{N}_.\-/\\]{0,120}\.(?:${extensions})(?![\p{L}\p{N}_])(?!\.[\p{L}\p{N}])`;
const mark = String.raw`["'“”„«»*_\x60\s]{0,3}`;
const lineWord = String.raw`(?:lines?|zeilen?|l[ií]neas?|lignes?|ll?\.)`;
const lineNumber = String.raw`#?L?(\d{1,7})(?:\s?(?:-|–|to|bis|a|à|and|und)\s?L?(\d{1,7}))?`;

/** What points at a file as the source of something. */
const source = new RegExp(
  String.raw`(?:(?<![\p{L}])(?:according to|as (?:stated|shown|described|listed|noted) in|(?:stated|shown|described|listed|mentioned|found|given|written|recorded|documented) in|says|per|laut|gemäß|steht in|zufolge|según|figura en|aparece en|indica|selon|d['’]après|indiqué dans|figure dans)|\[(?:source|quelle|fuente)?:?)\s?(?:(?:the|your|our|der|die|das|dem|el|la|le|l['’])\s)?(?:(?:attached|given|provided|uploaded|angehängten?|adjunto|joint)\s)?(?:(?:file|document|datei|dokument|archivo|fichero|documento|fichier|document)\s)?${mark}(${fileName})`,
  'giu',
);
/** `report.txt, line 12`, `report.txt:12`, `report.txt (lines 3-5)` */
const withLines = new RegExp(
  String.raw`(${fileName})${mark}(?:[:#]|,?\s?[([]?\s?${lineWord}\s?)${lineNumber}`,
  'giu',
);
/** `line 12 of report.txt` */
const linesOf = new RegExp(
  String.raw`(?<![\p{L}])${lineWord}\s${lineNumber}\s(?:of|in|from|der|von|aus|des|de|del|du|dans|en)\s(?:(?:the|der|die|el|le)\s)?(?:(?:file|datei|archivo|fichier)\s)?${mark}(${fileName})`,
  'giu',
);

/** Words that can mean nothing but a source. Others also tell where something is to be written or configured. */
const surelySource = /^(?:according|laut|gemäß|zufolge|según|selon|d['’]après|\[(?:source|quelle|fuente))/iu;

/** Files that a project has or is advised to have, whether they were given or not. */
const projectFile =
  /(?:^|[/\\])(?:requirements[\w-]*\.txt|readme\.\w+|changelog\.\w+|contributing\.\w+|license\.\w+|robots\.txt|cmakelists\.txt)$|\.(?:json|ya?ml|toml|ini|cfg|conf|env|py|js|mjs|cjs|ts|tsx|jsx|java|kt|c|h|cc|cpp|hpp|cs|go|rs|rb|php|sh|sql|r|swift|scala|tf|proto|css|scss|vue|html?)$/iu;

type Citation = { file: string; line: number | undefined; isSure: boolean };

/** Whether the files that the answer takes something from were given, and have the lines that it names. */
export function checkCitedFiles(input: EvaluationInput): Finding[] {
  const { files } = input;
  if (files.length === 0) return [];
  const citations = citationsOf(input.answer);
  const cited = citations.filter(({ file, isSure }) => isSure || !projectFile.test(file));
  const unknown = [...new Set(cited.map(({ file }) => file))].filter((file) => isSurelyUnknown(file, input));
  const beyond = citations.flatMap(({ file, line }) => {
    const last = files
      .filter((given) => isSameFile(given.name, file))
      .map(({ lastLine }) => lastLine ?? Infinity);
    return line !== undefined && last.length > 0 && line > Math.max(...last)
      ? [`${file} has ${Math.max(...last)} lines, not ${line}`]
      : [];
  });
  if (unknown.length + beyond.length === 0) return [passed(name, 'no file is cited that was not given')];
  const parts = [...unknown.map((file) => `${file} was not given`), ...new Set(beyond)];
  const given = files.map((file) => file.name).join(', ');
  const advice = `Cite only the given files and lines that they have; given: ${given}.`;
  return [failed(name, parts.slice(0, 5).join('; '), advice)];
}

function citationsOf(answer: string): Citation[] {
  const text = withoutFences(answer);
  const toLine = (from: string | undefined, to: string | undefined) => Number(to ?? from);
  return [
    ...[...text.matchAll(source)].map(([words, file = '']) => ({
      file,
      line: undefined,
      isSure: surelySource.test(words),
    })),
    ...[...text.matchAll(withLines)].map(([, file = '', from, to]) => ({
      file,
      line: toLine(from, to),
      isSure: true,
    })),
    ...[...text.matchAll(linesOf)].map(([, from, to, file = '']) => ({
      file,
      line: toLine(from, to),
      isSure: true,
    })),
  ];
}

const baseName = (file: string) => folded(file.split(/[/\\]/).at(-1) ?? file);
const withoutExtension = (file: string) => baseName(file).replace(/\.[^.]*$/, '');

function isSameFile(given: string, cited: string): boolean {
  return baseName(given) === baseName(cited);
}

/** A name that anybody mentioned, or that nearly is a given one, may be meant for what it is. */
function isSurelyUnknown(cited: string, { files, message, history, turns }: EvaluationInput): boolean {
  // Node.js and the like are no files
  if (/^\p{Lu}\p{L}*\.js$/u.test(cited)) return false;
  const base = baseName(cited);
  const bare = withoutExtension(cited);
  const isNear = files.some((file) => {
    const other = withoutExtension(file.name);
    return baseName(file.name).endsWith(base) || other.includes(bare) || bare.includes(other);
  });
  if (isNear || files.some((file) => isMentionedIn(file, base))) return false;
  const said = [
    message,
    ...[...history, ...toolResults(turns)].map((entry) => JSON.stringify(entry.content)),
  ];
  return !said.some((text) => folded(text).includes(base));
}

const toolResults = (turns: EvaluationInput['turns']) => turns.filter((turn) => turn.role === 'toolResult');

/** A file that is too long to look through may mention anything. */
function isMentionedIn({ text }: GivenFile, base: string): boolean {
  return text === undefined || text.toLowerCase().includes(base);
}
