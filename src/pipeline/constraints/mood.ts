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

const request = /\b(?:please|bitte|por favor|s['’]il (?:te|vous) plaît)\b/i;

const personal =
  /^(?:(?:and|but|so|because|then|yesterday|today|last \p{L}+|recently|currently|also)[,]?\s+)*(?:i|we|ich|wir|yo|nosotros|je|j['’]|nous)(?![\p{L}])/iu;

/** Somebody else's wishes; "they should" may speak of parts of the answer. */
const others =
  /^(?:(?:and|but|so|because|then|yesterday|today|currently|also)[,]?\s+)*(?:he|she|they(?! should| must)|my|our|his|her|their|someone|somebody|people|everyone|in (?:my|our|their|his|her)|er|mein[e]?|unser[e]?|él|ella|mi|mis|il(?! doit)|elle(?! doit)|mon|ma|mes|ils|elles)\s/iu;

const desire =
  /(?:\b(?:want|would like|i'd like|i’d like|we'd like|wish|prefer|expect|hope|hoping|looking for|asking|must have|need (?:you|it|the|this|your|a|an|exactly|at|only|help|some|\{)|require|would love|would appreciate)|möchte|will\b|wünsche|brauche|hätte gern|quiero|quisiera|necesito|me gustaría|veux|voudrais|souhaite|aimerais|besoin)/i;

const reported =
  /\b(?:said|says|told|asked|asks|complain\w*|warn\w*|thinks?|thought|suggest\w*|recommend\w*|insist\w*|keeps?|wrote|used|counted|submitted|sagte|sagt|verlangt|dijo|dice|pide|exige|a dit|dit que|demande)\b/i;

/** Things whose limits are facts or rules of a system, not demands on the answer. */
const systemSubject =
  /^(?!(?:your|deine?|ihre?|tu|su|ta|votre)\s)(?:(?:the|a|an|each|every|all|valid|their|its|this|that|these|those|our|my|der|die|das|el|la|los|las|le|les|un|une|una)\s+){0,3}(?:[\p{L}-]+\s){0,2}?(?:passwords?|usernames?|fields?|columns?|files?|variables?|functions?|methods?|scripts?|programs?|classes|queries|query|identifiers?|keys?|tokens?|values?|strings?|inputs?|parameters?|arguments?|csv|tables?|databases?|urls?|ids?|api|apis|regex|regular expressions?|parser|compiler|linter|server|app|application|users?|button|form|endpoint|passwort|passwörter|datei(?:en)?|funktion(?:en)?|contraseñas?|archivos?|función|mots? de passe|fichiers?|fonctions?)\s(?:[\p{L}-]+\s){0,3}?(?:must|should|shall|may|can|cannot|could|can't|mustn't|has|have|is|are|needs?|allows?|contains?|requires?|muss|müssen|darf|dürfen|soll|sollen|debe|deben|puede|doit|doivent|peut)(?![\p{L}])/iu;

const codeNoun =
  /\b(?:functions?|scripts?|regex(?:es)?|regular expressions?|quer(?:y|ies)|sql|algorithms?|(?:unit )?tests?(?=\s(?:that|which|to|for|checking))|unit tests?|validators?|parsers?|endpoints?|macros?|bots?|plugins?|decorators?|linters?|api|apps?|tokenizers?|(?:python|java|javascript|typescript|c\+\+|c#|go|rust|ruby|php|bash|computer) (?:program|code|class|method|snippet|app|tool)s?|funktion|skript|función|fonction|programm|programa|programme)\b/i;
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
  if (systemSubject.test(plain) || others.test(plain)) return '';
  if (personal.test(plain) && (!desire.test(plain) || reported.test(plain))) return '';
  if (/^(?:\p{L}+['’]?s? ){1,4}/u.test(plain) && isThirdPartyReport(plain)) return '';
  return cutCodeBehaviour(plain);
}

/** A question that is not a request in disguise ("Can you write …?"). */
export function isQuestion(sentence: string): boolean {
  if (request.test(sentence)) return false;
  if (bareQuestion.test(sentence)) return true;
  return sentence.endsWith('?') && questionOpener.test(sentence);
}

function isThirdPartyReport(sentence: string): boolean {
  return /^(?:the|an?|der|die|das|el|la|le)\s(?:[\p{L}-]+\s){1,3}(?:said|says|told|asked|asks|requires?|required|wants?|wanted|complains?|warns?|keeps|rejects?|sagt|verlangt|dice|exige|pide|dit|demande)\b/iu.test(
    sentence,
  );
}

/** "What is a monad, in at most 50 words?": the end of a question may still say how to answer it. */
function questionTail(sentence: string): string {
  const tail =
    /[,;(–—-]\s?((?:and |but |please )?(?:in|within|using|without|with (?:at|no)|under|only|answer|explain|make|give|keep|max)\b[^,;]{0,200})\??$/iu.exec(
      sentence,
    )?.[1] ??
    /\s((?:in|within|using|en|auf) (?:(?:at (?:least|most)|less than|fewer than|under|exactly|no more than|up to|only|just|one|two|three|máximo|menos de|moins de|höchstens|maximal|weniger als|\d)[\s\d]).{0,50})\?$/iu.exec(
      sentence,
    )?.[1];
  return tail ?? '';
}

function cutCodeBehaviour(sentence: string): string {
  const noun = codeNoun.exec(sentence);
  if (!noun) return sentence;
  const from = noun.index + noun[0].length;
  const behaviour = codeBehaviour.exec(sentence.slice(from));
  return behaviour ? sentence.slice(0, from + behaviour.index) : sentence;
}
