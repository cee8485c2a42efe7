import { folded } from './finding.js';

/** Words that say nothing of what a question is about, in English, German, Spanish and French. */
const emptyWords: ReadonlySet<string> = new Set(
  folded(
    [
      'the a an and or but if so as at by for from in into of off on out over to up with without about after before',
      'is are was were be been being am do does did done has have had having can could will would shall should may might must',
      'i me my we us our you your he him his she her it its they them their this that these those there here one ones some any',
      'what which who whom whose when where why how much many more most less least long old big far tall high large often well',
      'not no yes also too very just only even still then than now please tell explain describe give show say know want need mean',
      'means use used using work works make makes made get gets got go goes going come take takes happen happens way ways thing',
      'things kind type sort best better good bad main different difference between like other another same such each every both',
      'question answer think help let else instead really actually exactly currently usually usual possible example examples',
      'der die das den dem des ein eine einen einem einer eines und oder aber wenn als auf aus bei bis durch fur gegen im in mit nach',
      'ohne um uber unter von vor zu zum zur ist sind war waren sein wird werden wurde hat haben hatte kann konnen konnte soll sollte',
      'muss mussen darf ich mich mir wir uns du dich dir er ihn ihm sie ihr ihnen es man mein dein sein unser euer dies diese dieser',
      'dieses was welche welcher welches wer wen wem wessen wann wo woher wohin warum wieso weshalb wie viel viele lange alt gross hoch',
      'weit oft nicht kein keine ja nein auch sehr nur noch dann denn bitte gib sag weiss heisst bedeutet gibt geht macht machen beste',
      'el la los las un una unos unas y o pero si como a ante con contra de del desde en entre hacia hasta para por segun sin sobre al',
      'es son era fue ser estar esta estan ha han hay puede pueden puedo debe deben yo me mi tu te su sus nos nosotros usted ustedes le',
      'les lo este estos estas ese esa eso aquel que cual cuales quien quienes cuando donde adonde cuanto cuanta cuantos cuantas porque',
      'no muy tambien solo ya mas menos favor dime significa hace hacer tiene tienen mejor',
      'le la les un une des du de d l et ou mais si comme dans sur sous avec sans pour par chez vers entre est sont etait etre a ont avoir',
      'peut peuvent peux dois doit faut je me moi mon ma mes tu te toi ton ta tes il elle on nous vous ils elles leur leurs se son sa ses ce',
      'cet cette ces qui que quoi quel quelle quels quelles quand ou comment pourquoi combien ne pas non oui aussi tres plus moins fait',
      'faire dit veut signifie y en qu c j n s m t meilleur meilleure',
    ].join(' '),
  ).split(' '),
);

const wordPattern = /[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu;

/** Letters of a word's beginning that stand for all its forms. */
const stemLength = 4;

/** The beginnings of the words of a text that carry its meaning. */
export function stemsOf(text: string): string[] {
  const words = folded(text).match(wordPattern) ?? [];
  return words
    .flatMap((word) => word.split(/['’-]/))
    .flatMap((word) => (isEmptyWord(word) ? [] : stem(word)));
}

function isEmptyWord(foldedWord: string): boolean {
  return (foldedWord.length < 3 && !/\d/.test(foldedWord)) || emptyWords.has(foldedWord);
}

const stem = (word: string) => word.slice(0, stemLength);

/** Pieces of a text that tell something new: runs of words that carry meaning and are not among `known` stems. */
export function countNewRuns(text: string, known: ReadonlySet<string>): number {
  let runs = 0;
  let isInside = false;
  for (const [token] of folded(text).matchAll(/[\p{L}\p{N}]+(?:[.,][\p{N}]+)*|[.!?;:,()\n]/gu)) {
    const isNew = /^[\p{L}\p{N}]/u.test(token) && !isEmptyWord(token) && !known.has(stem(token));
    if (isNew && !isInside) runs += 1;
    isInside = isNew;
  }
  return runs;
}
