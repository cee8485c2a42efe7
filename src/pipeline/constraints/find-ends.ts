import type { Constraint } from './constraint.js';
import { type Prompt, quoteAt } from './prompt.js';

export function findEnds(prompt: Prompt): Constraint[] {
  return [...findEnd(prompt), ...findStart(prompt), ...findPostscript(prompt), ...findQuotation(prompt)];
}

const whole = String.raw`(?:(?:your|the|this|it|that|deine?|ihre?|die|tu|su|la|ta|votre|el|le)\s)?(?:(?:entire|whole|full|gesamte|ganze|complete)\s)?(?:[\p{L}]+\s){0,2}?`;
const exactly = String.raw`(?:(?:this|the|exactly|exact|following|just|very|these|dem|den|diesem|la|le|genau|exakten?|exacta|exacte|words?|phrase|sentence|question|line|statement|text|satz|worten?|frase|oración|pregunta|palabras|siguiente|suivante|question|read|like|of|by|saying|says|be|say)[\s,:]+){0,7}`;

const endVerb =
  '(?:end(?:s|ing)?|finish(?:es|ing)?|conclud(?:e|es|ing)|clos(?:e|es|ing)|complete|wrap up|beende[nt]?|ende[nt]?|schließe[n]?(?: ab)?|termina[r]?|finaliza[r]?|concluye|acaba[r]?|termine[rz]?|finis(?:sez)?|conclu[st]|conclure|concluez)';
const withWord = '(?:with|by|in|on|mit|auf|con|en|par|avec|sur)';

const endings = [
  new RegExp(
    String.raw`(?<![\p{L}])${endVerb}\s${whole}${withWord}:?\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
    'iu',
  ),
  new RegExp(
    String.raw`(?:(?:the|your|its)\s(?:very\s)?(?:last|end|final|closing|concluding)(?:\s(?:sentence|words?|line|phrase|part|thing|remark))?)(?:\s(?:of|in)\s(?:your|the)(?:\s[\p{L}]+){1,3}?)?\s(?:should|must|has to|have to|needs? to|is|are|shall)\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
    'iu',
  ),
  new RegExp(
    String.raw`(?:(?:letzte[rn]?|último|última|derni[eè]re?)\s(?:satz|wort|frase|oración|palabra|phrase|mot))[^\n{]{0,60}?(?:lauten|sein|ser|être|debe|doit|ist|soll)\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
    'iu',
  ),
  new RegExp(
    String.raw`at the (?:very )?end of (?:your|the) (?:[\p{L}]+\s){1,3},?\s?(?:please |you (?:should|must) )?(?:write|say|add|put|include)\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
    'iu',
  ),
  // without quotation marks: what follows "exact phrase" or the colon, to the end of the sentence or line
  new RegExp(
    String.raw`(?<![\p{L}])${endVerb}\s${whole}${withWord}(?:\s\p{L}+){0,5}?(?::|\s(?:phrase|sentence|question|words|statement)\b(?!\sof\b):?)\s*(?:\n\s*)?(?<bare>[^\n{]{2,200})`,
    'iu',
  ),
  /(?:the\s(?:very\s)?(?:last|end|final)(?:\s(?:sentence|words?|line|phrase))?)\s(?:of|in)\s(?:your|the)\s(?:[\p{L}]+\s){1,3}(?:should|must|has to|needs to)\s(?:\p{L}+\s){0,4}?\p{L}+:\s*(?<bare>[^\n{]{2,200})/iu,
];

function findEnd(prompt: Prompt): Constraint[] {
  for (const pattern of endings) {
    const match = pattern.exec(prompt.text);
    if (!match?.groups || isPart(match[0])) continue;
    const phrase = (match.groups.bare ?? quoteAt(prompt, match.groups.quote)).trim();
    if (/[\p{L}\p{N}]/u.test(phrase) && !/^p\.?\s?(?:p\.?)?\s?s\b/i.test(phrase))
      return [{ id: 'startend:end_checker', kwargs: { end_phrase: phrase } }];
  }
  return [];
}

/** The end or start of each sentence, a paragraph and so on is not that of the answer. */
function isPart(text: string): boolean {
  return /\b(?:each|every|paragraphs?|sections?|absatz|párrafo|paragraphe|stanzas?|verses?|jede[rsn]?|cada|chaque|lines\b|sentences\b|filenames?|files?|words that)\b/iu.test(
    text,
  );
}

const startVerb = String.raw`(?:start(?:s|ing)?|begin(?:s|ning)?|open(?:s|ing)?|beginne[nt]?|starte|anfang\p{L}*|empieza|empezar|comienza|comenzar|inicia|commence[rz]?|débute[rz]?)`;
const starting = new RegExp(
  String.raw`(?<![\p{L}])${startVerb}\s(?:(?:your|the|deine?|tu|la|ta|votre|die)\s)(?:(?:entire|whole)\s)?(?:response|answer|reply|output|email|letter|story|poem|essay|message|post|antwort|respuesta|réponse|text|brief|carta|lettre)\s${withWord}:?\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
  'iu',
);

const startingSentence = new RegExp(
  String.raw`^(?:please\s|always\s)?(?:(?:it|(?:your|the)\s(?:response|answer|reply|output|text))\s(?:should|must|has to|needs to)\s)?${startVerb}\s${withWord}:?\s${exactly}:?\s*\{q(?<quote>\d+)\}`,
  'imu',
);

function findStart(prompt: Prompt): Constraint[] {
  const match = starting.exec(prompt.text) ?? startingSentence.exec(prompt.text);
  const phrase = quoteAt(prompt, match?.groups?.quote);
  if (!match || isPart(match[0]) || phrase === '') return [];
  return [{ id: 'startend:start_checker', kwargs: { start_phrase: phrase } }];
}

const postscriptWord = /\b(?:postscript|post scriptum|postskriptum|posdata|post-scriptum)\b/iu;

function findPostscript(prompt: Prompt): Constraint[] {
  const text = prompt.text
    .replace(/\{q(\d+)\}/g, (_, index: string) => quoteAt(prompt, index).slice(0, 20))
    // the points of the marker may have been taken for the end of a sentence
    .replace(/(P\.\s?(?:P\.\s?)?S\.?)\n/g, '$1 ');
  const isAsked = postscriptWord.test(text);
  const marker = /(?<![\p{L}])(?:(?<double>P\.?\s?P\.?\s?S)|(?<single>P\.\s?S))(?![\p{L}])/u.exec(
    text,
  )?.groups;
  const isAdded =
    /(?<![\p{L}])(?:add|includ\w*|with|at the (?:very )?(?:end|bottom)|append|attach|put|write|finish|close|end|füge|schreib\p{L}*|mit|agreg\p{L}*|añad\p{L}*|incluy\p{L}*|pon|termina|ajout\p{L}*|inclu\p{L}*|mets|terminez?|finis)(?![\p{L}])[^\n]{0,80}P\.\s?(?:P\.?\s?)?S(?![\p{L}])/iu.test(
      text,
    ) ||
    /(?:,|\b(?:and|plus|und|y|et))\s(?:an?|the|\{n\d+\})\sP\.\s?(?:P\.?\s?)?S(?![\p{L}])/u.test(text) ||
    /(?<![\p{L}])P\.\s?(?:P\.?\s?)?S\.?\s(?:[^\n]{0,40}\s)?(?:at|in|to|am|al|à) (?:the |its )?(?:very )?(?:end|bottom|close|ende|schluss|final|la fin)(?![\p{L}])/iu.test(
      text,
    );
  if (!isAsked && !isAdded) return [];
  const name = marker?.double ? 'P.P.S' : 'P.S.';
  return [{ id: 'detectable_content:postscript', kwargs: { postscript_marker: name } }];
}

const quotationMarks =
  /\b(?:double quotation marks?|double[\s-]quot(?:e|es|ation|ed)|quotation marks?|quote marks|inverted commas|in quotes|doppelte[nr]? anführungszeichen|anführungszeichen|comillas(?: dobles)?|guillemets(?: doubles)?)\b|["“”]{2}/iu;
const wrapping =
  /\b(?:(?:start|begin|open)\w* and (?:end|finish|clos)\w*|wrap\w*|put|go(?:es)?|appear|be (?:double[- ])?quoted|enclos\w*|surround\w*|within|inside|between|place\w*|add|be in|setz\p{L}*|umschließ\p{L}*|in doppelte|pon\p{L}*|encierr\p{L}*|entre|mets|mett\p{L}*|entour\p{L}*|encadr\p{L}*)(?![\p{L}])/iu;
const wholeAnswer =
  /\b(?:entire|whole|(?:your|the|this) (?:response|answer|reply|output|result)|(?:response|answer|reply|output)\b[^\n]{0,80}\bwrapped|everything|(?:full|complete) (?:response|answer|reply|text|output)|all of (?:it|your)|gesamte|ganze|komplette|deine antwort|toda|tu respuesta|toute|ta réponse|votre réponse)\b/iu;

function findQuotation(prompt: Prompt): Constraint[] {
  const isAsked = prompt.text.split('\n').some((line, index, lines) => {
    const context = `${lines[index - 1] ?? ''} ${line}`;
    return (
      quotationMarks.test(line) &&
      wrapping.test(line) &&
      (wholeAnswer.test(line) || (/\bit\b/.test(line) && wholeAnswer.test(context)))
    );
  });
  return isAsked ? [{ id: 'startend:quotation', kwargs: {} }] : [];
}
