import type { Constraint } from './constraint.js';
import { type Prompt, quantityAt, quoteAt } from './prompt.js';

/** How the reader is addressed, and whether sources are named. */
export function findVoice(prompt: Prompt): Constraint[] {
  return [...findAddress(prompt), ...findCitations(prompt)];
}

type Form = { language: string; form: 'informal' | 'formal'; pattern: RegExp };

/** `verb` … `pronoun`: "sprich mich mit du an", "trátame de usted", "address the reader as vous". */
const by = (pronoun: string) =>
  String.raw`(?:address|call|speak|talk|use|say|write|sprich|sprecht|sprechen|rede|verwende|benutze|nutze|schreibe?|trát\p{L}*|trat\p{L}*|habl\p{L}*|us[ae]|utiliza|dirígete|dis|dites|parle\p{L}*|utilise\p{L}*|emploi\p{L}*|adresse\p{L}*)(?:-\p{L}+)?\s(?:(?!not\b|nicht\b|no\b|pas\b)[\p{L}'’]+\s){0,5}?(?:mit|per|as|with|using|in|der|de|con|el|en|le|the|à)\s(?:(?:the|dem|der|el|le|formal|informal|polite|familiar|pronoun|form|pronombre|pronom)\s)*${pronoun}(?![\p{L}])`;

const forms: readonly Form[] = [
  form(
    'de',
    'informal',
    String.raw`duze?(?:\s(?:mich|uns|sie|die|den)\b)|(?:per|in der) du(?:-?form)?(?![\p{L}])|du-?(?:form|anrede)|${by('du')}`,
  ),
  form(
    'de',
    'formal',
    String.raw`siez\p{L}*|(?:per|in der) sie(?:-form)?(?=\s?[.,!]|$)|sie-(?:form|anrede)|höflichkeitsform|${by('sie(?=\\s?(?:an\\b|form|[.,!]|$))')}`,
  ),
  form('es', 'informal', String.raw`tut[eé]\p{L}*|tuteo|${by('tú')}`),
  form('es', 'formal', by('usted(?:es)?')),
  form('fr', 'informal', String.raw`tuto[iy]\p{L}*|${by('tu')}`),
  form('fr', 'formal', String.raw`vouvo[iy]\p{L}*|${by('vous')}`),
];

function form(language: string, name: Form['form'], source: string): Form {
  return { language, form: name, pattern: new RegExp(String.raw`(?<![\p{L}])(?:${source})`, 'iu') };
}

const refused =
  /(?<![\p{L}])(?:not|n['’]t|nicht|kein\p{L}*|no|ne|pas|without|ohne|sin|sans|statt)\s(?:[\p{L}'’]+\s){0,3}$/iu;
const negatedAfter = /^\s(?:mich\s|bitte\s)?(?:nicht|pas)(?![\p{L}])/iu;

/** A cheap look before the patterns: a pronoun or a verb of address. */
const worthReading =
  /(?<![\p{L}])(?:du|duz\p{L}*|sie|siez\p{L}*|höflich\p{L}*|tu|tú|vous|usted(?:es)?|tut[eé]\p{L}*|(?:tuto|vouvo)[iy]\p{L}*)(?![\p{L}])/iu;

function findAddress(prompt: Prompt): Constraint[] {
  if (!worthReading.test(prompt.raw)) return [];
  const text = prompt.text.replace(/\{q(\d+)\}/g, (mark, index: string) => {
    const quote = quoteAt(prompt, index);
    return quote.length <= 8 ? quote : mark;
  });
  for (const { language, form: name, pattern } of forms) {
    const match = pattern.exec(text);
    if (!match) continue;
    const isTurned =
      refused.test(text.slice(Math.max(0, match.index - 60), match.index)) ||
      negatedAfter.test(text.slice(match.index + match[0].length));
    const opposite = name === 'formal' ? 'informal' : 'formal';
    return [
      { id: 'detectable_content:form_of_address', kwargs: { form: isTurned ? opposite : name, language } },
    ];
  }
  return [];
}

const sourceNouns =
  'sources|citations?|footnotes?|references(?!\\s(?:to|from)\\b)|bibliography|quellen(?:angaben?)?|belegen?|fußnoten|literaturangaben|fuentes|citas(?: bibliográficas)?|referencias|notas al pie|sources|citations|références|notes de bas de page';
const citationDemand = new RegExp(
  String.raw`(?<![\p{L}])(?:cit(?:e|ing)|includ(?:e|ing)|add|provide|give|list|with|name|back\s(?:\p{L}+\s){1,5}(?:with|by)|nenne|gib|mit|füge|belege\s(?:\p{L}+\s){1,4}mit|cita|incluye|menciona|indica|con|añade|cite[rz]?|indique[rz]?|avec|ajoute[rz]?|donne[rz]?)\s(?:(?!no\b|any\b|keine\b|your\b)[\p{L}]+\s){0,2}?(?:your\s|deine\s|tus\s|tes\s|vos\s)?(?:\{n(?<count>\d+)\}\s)?(?:\p{L}+\s)?(?:${sourceNouns})(?![\p{L}])`,
  'iu',
);

function findCitations(prompt: Prompt): Constraint[] {
  const match = citationDemand.exec(prompt.text);
  if (!match || refused.test(prompt.text.slice(Math.max(0, match.index - 60), match.index))) return [];
  const count = quantityAt(prompt, match.groups?.count)?.min ?? 1;
  return [{ id: 'detectable_content:citations', kwargs: { num_citations: count } }];
}
