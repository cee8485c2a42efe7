/**
 * Which sentences of a message demand something of the answer. A question about the world ("How do I write an essay
 * of at least 500 words?"), a report ("My teacher wants no commas") and what a program shall do ("a function that
 * prints the word three times") do not.
 */

const questionOpener = new RegExp(
  String.raw`^(?:(?:and|so|but|also|ok|okay|hi|hello|hey|und|aber|y|pero|et|mais)[,!]?\s+)*¿?\s*(?:` +
    [
      "how|why|what(?:'s|’s)?|when|where|who(?:'s)?|whom|whose|which",
      'is|are|was|were|am|do|does|did|should|shall|may|might|has|have you|had',
      String.raw`(?:can|could|would|will) (?!you\b|u\b|we have\b)\p{L}+`,
      'if|in which|at what|for what|since when',
      'wie|warum|wieso|was|wer|wann|wo|welche[rsnm]?|ist|sind|gibt es|darf|soll|kann (?:man|ich|es)|muss',
      'cómo|por qué|qué|cuál(?:es)?|cuándo|dónde|quién|es|son|hay|puedo|se puede|debo|cuánt[oa]s?',
      "comment|pourquoi|que|qu['’]est|quel(?:le)?s?|quand|où|qui|est-ce|y a-t-il|puis-je|peut-on|dois-je|combien",
    ].join('|') +
    String.raw`)(?![\p{L}])`,
  'iu',
);

/** Openers that make a question of a sentence even where the question mark was left out. */
const bareQuestion =
  /^(?:how (?:to|do|does|did|can|would|could|should|many|much)|why (?:do|does|did|is|are|was|can)|what (?:is|are|does|do|was|were|happens)|wie (?:kann|macht|schreibt)|cómo (?:puedo|se)|comment (?:puis|faire|on))\b/i;

const request =
  /\b(?:please|bitte|por favor|s['’]il (?:te|vous) plaît)(?![\p{L}])|^(?:can|could|may) (?:i|we) (?:have|get) (?:it|that|this|the (?:answer|text|result)|an? (?:answer|reply|response))\b/iu;

const personal =
  /^(?:(?:and|but|so|because|then|yesterday|today|last \p{L}+|recently|currently|also)[,]?\s+)*(?:i|we|ich|wir|yo|nosotros|je|j['’]|nous)(?![\p{L}])/iu;

/** Somebody else's wishes; "they should" may speak of parts of the answer. */
const others =
  /^(?:(?:and|but|so|because|then|yesterday|today|currently|also)[,]?\s+)*(?:he|she|they(?! should| must)|my|our|his|her|their|someone|somebody|people|everyone|in (?:my|our|their|his|her)|er|mein[e]?|unser[e]?|él|ella|mi|mis|il(?! doit| faut| est| ne (?:doit|faut))|elle(?! doit)|mon|ma|mes|ils|elles)\s/iu;

const desire =
  /(?:\b(?:want|would like|i'd like|i’d like|we'd like|wish|prefer|expect|hope|hoping|looking for|asking|must have|need\b(?! (?:to|not)\b)|(?:have|got) (?:only |just )?(?:time|room|space) for|won['’]t read|can['’]t (?:use|read|take)|can only (?:use|read|take)|never want|['’]d love|love to see|require|would love|appreciate)|möchte|will\b|wünsche|brauche|hätte(?:\s\p{L}+){0,5}?\sgern|quiero|quisiera|necesito|me gustaría|veux|voudrais|souhaite|aimerais|besoin)/iu;

const reported =
  /\b(?:said|says|told|asked|asks|complain\w*|warn\w*|thinks?|thought|suggest\w*|recommend\w*|insist\w*|keeps?|wrote|used|counted|submitted|sagte|sagt|verlangt|dijo|dice|pide|exige|a dit|dit que|demande)\b/i;

/** Things whose limits are facts or rules of a system, not demands on the answer. */
const systemSubject =
  /^(?!(?:your|deine?|ihre?|tu|su|ta|votre)\s)(?:(?:the|a|an|each|every|all|valid|their|its|this|that|these|those|our|my|der|die|das|el|la|los|las|le|les|un|une|una)\s+){0,3}(?:[\p{L}-]+\s){0,2}?(?:passwords?|usernames?|fields?|columns?|files?|variables?|functions?|methods?|scripts?|programs?|classes|queries|query|identifiers?|keys?|tokens?|values?|strings?|inputs?|parameters?|arguments?|csv|tables?|databases?|urls?|ids?|api|apis|regex|regular expressions?|parser|compiler|linter|server|app|application|users?|button|form|endpoint|passwort|passwörter|datei(?:en)?|funktion(?:en)?|contraseñas?|archivos?|función|mots? de passe|fichiers?|fonctions?)\s(?:[\p{L}-]+\s){0,3}?(?:must|should|shall|may|can|cannot|could|can't|mustn't|has|have|is|are|needs?|allows?|contains?|requires?|muss|müssen|darf|dürfen|soll|sollen|debe|deben|puede|doit|doivent|peut)(?![\p{L}])/iu;

const codeNoun =
  /\b(?:(?:build|write|create|craft|design|make|draft) (?:me )?(?:an?|the) (?:\p{L}+ )?prompts?|functions?|scripts?|regex(?:es)?|regular expressions?|quer(?:y|ies)|sql|algorithms?|(?:unit )?tests?(?=\s(?:that|which|to|for|checking))|unit tests?|validators?|parsers?|endpoints?|macros?|bots?|plugins?|decorators?|linters?|api|apps?|tokenizers?|(?:python|java|javascript|typescript|c\+\+|c#|go|rust|ruby|php|bash|computer) (?:program|code|class|method|snippet|app|tool)s?|funktion|skript|función|fonction|programm|programa|programme)\b/iu;
const codeBehaviour =
  /\s(?:that|which|to|for|where|whose|such that|so that|die|der|das|que|qui|pour|para|zum|um)\s|,?\s(?:it|they) (?:should|must)\s/i;

/** The sentences, or the parts of them, that demand something of the answer. */
export function keepDemands(sentences: string[]): string[] {
  let isAboutCode = false;
  return sentences.map((sentence) => {
    const kept = keepDemand(sentence, isAboutCode);
    isAboutCode = codeNoun.test(sentence) || (isAboutCode && /^(?:it|they)\b/i.test(sentence));
    return kept;
  });
}

function keepDemand(sentence: string, isAboutCode: boolean): string {
  const plain = sentence.replace(/^\s*(?:[-*•]|\d{1,2}[.)])\s+/, '');
  if (isQuestion(plain)) return questionTail(plain);
  if (isAboutCode && /^(?:it|they)\b/i.test(plain)) return '';
  if (/^there (?:is|are|was|were)\b/i.test(plain)) return '';
  if (systemSubject.test(plain)) return '';
  if (others.test(plain)) return conclusion(plain);
  if (personal.test(plain) && !request.test(plain) && (!desire.test(plain) || reported.test(plain)))
    return conclusion(plain);
  if (/^(?:\p{L}+['’]?s? ){1,4}/u.test(plain) && isThirdPartyReport(plain)) return '';
  return cutCodeBehaviour(plain);
}

/** "My aunt only reads Greek, so write in Greek": what follows from a report may be a demand. */
function conclusion(sentence: string): string {
  return (
    /[,;:–—-]\s(?:so|therefore|hence|thus|that['’]s why|and so|also|daher|deshalb|darum|así que|por eso|donc|alors|c['’]est pourquoi)[,]?\s((?:please\s|bitte\s)?(?!(?:i|we|he|she|they|it|there|that|my|our|the|ich|wir|er|sie|es|je|nous|il|elle|yo)(?![\p{L}])).*)$/iu.exec(
      sentence,
    )?.[1] ?? ''
  );
}

/** A question that is not a request in disguise ("Can you write …?"). */
export function isQuestion(sentence: string): boolean {
  if (request.test(sentence)) return false;
  if (bareQuestion.test(sentence)) return true;
  return sentence.endsWith('?') && questionOpener.test(sentence);
}

function isThirdPartyReport(sentence: string): boolean {
  return /^(?:(?:in|on|at) (?:[\p{L}\d]+\s){1,6})?(?:the|an?|der|die|das|el|la|le)\s(?:[\p{L}-]+\s){1,3}(?:said|says|told|asked|asks|use|used|wrote|writes|requires?|required|wants?|wanted|complains?|warns?|keeps|rejects?|sagt|verlangt|dice|exige|pide|dit|demande)\b/iu.test(
    sentence,
  );
}

/** "a girl who spoke only in capitals": what is said of somebody in a text is not said of the answer. */
export function isInRelativeClause(before: string): boolean {
  return /(?<![\p{L}])(?:who(?:se|m)?|quien(?:es)?|(?:about|über|sobre|sur)\s[^.;:]{1,60}\s(?:that|der|die|das|que|qui))(?:\s(?!should|must)[\p{L}'’]+){0,2}\s*$/iu.test(
    before,
  );
}

/** "What is a monad, in at most 50 words?": the end of a question may still say how to answer it. */
function questionTail(sentence: string): string {
  const tail =
    /[,;(–—-]\s?((?:and |but |please )?(?:in|within|using|without|with (?:at|no)|under|only|answer|explain|make|give|keep|max)\b[^,;]{0,200})\??$/iu.exec(
      sentence,
    )?.[1] ??
    /\s((?:in|within|using|en|auf|mit) (?:(?:at (?:least|most)|less than|fewer than|under|exactly|no more than|up to|only|just|one|two|three|máximo|menos de|moins de|höchstens|maximal|weniger als|\d)[\s\d])(?:(?!\b(?:and|or|who|that|if)\b).){0,50})\?$/iu.exec(
      sentence,
    )?.[1];
  if (tail === undefined) return '';
  const before = sentence.slice(0, sentence.lastIndexOf(tail));
  return /\b(?:answers|replies|responds|writes|talks|speaks|returns)\s*$/i.test(before) ? '' : tail;
}

function cutCodeBehaviour(sentence: string): string {
  const noun = codeNoun.exec(sentence);
  if (!noun) return sentence;
  const from = noun.index + noun[0].length;
  const behaviour = codeBehaviour.exec(sentence.slice(from));
  return behaviour ? sentence.slice(0, from + behaviour.index) : sentence;
}
