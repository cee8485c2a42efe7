import type { Constraint } from './constraints/constraint.js';
import { constraintsOf } from './constraints/find.js';
import { isQuestion } from './constraints/mood.js';
import { type Prompt, quoteAt, readPrompt } from './constraints/prompt.js';
import { countWords } from './text.js';

/**
 * What the sender wants: `question` a fact or advice, `explain` how or why something is, `write` a text, `code` a
 * program or a repair of one, `analyze` a judgement or comparison, `summarize` and `translate` what they say,
 * `compute` a calculation, `list` several items, `chat` small talk; `other` is none of these.
 */
export const intents = [
  'question',
  'explain',
  'write',
  'code',
  'analyze',
  'summarize',
  'translate',
  'compute',
  'list',
  'chat',
  'other',
] as const;
export type Intent = (typeof intents)[number];

export type Complexity = 'simple' | 'moderate' | 'complex';

export type Reading = {
  intent: Intent;
  /** 0..1: how clearly the message states its intent */
  confidence: number;
  /** ISO 639-1 code, or `und` */
  language: string;
  complexity: Complexity;
  /** what is asked, in the sender's words; at most twenty */
  questions: string[];
  constraints: Constraint[];
};

const MOST_QUESTIONS = 20;
const LONGEST_QUESTION = 500;

/** Reads a message: what is wanted, in which language, how hard it is, what is asked and what is demanded. */
export function readMessage(message: string): Reading {
  const prompt = readPrompt(message);
  const constraints = constraintsOf(prompt);
  const questions = questionsOf(prompt);
  const { intent, confidence } = readIntent(prompt, questions.length > 0);
  const complexity = readComplexity(message, prompt, questions.length, constraints.length, intent);
  return { intent, confidence, language: prompt.language, complexity, questions, constraints };
}

function questionsOf(prompt: Prompt): string[] {
  return prompt.sentences
    .filter((sentence) => sentence.endsWith('?') || isQuestion(sentence))
    .slice(0, MOST_QUESTIONS)
    .map((sentence) =>
      sentence
        .replace(/\{q(\d+)\}\.?/g, (_, index: string) => `"${quoteAt(prompt, index)}"`)
        .slice(0, LONGEST_QUESTION),
    );
}

type Cue = { intent: Intent; opening: RegExp; anywhere?: RegExp };

const polite = String.raw`^(?:[\s\-*•\d.)]{0,6})(?:(?:please|pls|kindly|hi|hello|hey|ok|okay|now|then|also|and|bitte|por favor|oye|hola|hallo|bonjour|salut|s['’]il (?:te|vous) plaît)[,!.]?\s+)*(?:(?:can|could|would|will) (?:you|u)(?: please| kindly)?\s+|i (?:want|need|would like|'d like) (?:you )?(?:to )?|help me (?:to )?|let['’]s |kannst du (?:mir )?(?:bitte )?|könntest du (?:mir )?(?:bitte )?|puedes |podrías |peux-tu |pourrais-tu |pouvez-vous |(?:give|tell|show) me )?`;

function opens(source: string): RegExp {
  return new RegExp(String.raw`${polite}(?:an?\s|the\s|me\s|some\s)?(?:${source})(?![\p{L}])`, 'iu');
}

/** In the order of precedence; a verb at the start of a sentence says more than a word further on. */
const cues: readonly Cue[] = [
  {
    intent: 'translate',
    opening: opens(
      'translat\\w*|übersetze?|übersetzen|traduce|traducir|traduis|traduisez|traduire|translation',
    ),
    anywhere: /\b(?:translate (?:it|this|that|the)|translation (?:of|for)|how do (?:you|i) say)\b/iu,
  },
  {
    intent: 'summarize',
    opening: opens(
      'summari[sz]e|summary|sum up|tl;?dr|condense|shorten|recap|fasse|zusammenfassung|resume|resumen|resumir|résume[rz]?|résumé|synthétise[rz]?',
    ),
    anywhere: /\b(?:summari[sz]e|summary of|tl;?dr|in a nutshell|zusammenfass\w*)\b/iu,
  },
  {
    intent: 'code',
    opening: opens(
      'debug|refactor|implement|code|fix (?:this|the|my) (?:bug|code|error|function|test|script)|program|write (?:unit )?tests?|optimi[sz]e this (?:code|query|function)|programmiere|implementiere|implementa|programa|implémente|(?:write|create|generate|make|build|add|schreibe?|erstelle|escribe|crea|écris|crée) (?:[\\p{L}\\d.+#-]{1,20} ){0,4}?(?:functions?|regex|scripts?|programs?|code|class|quer(?:y|ies)|unit tests?|components?|endpoints?|types?|api|parser|skript|funktion|función|programa|fonction|programme|loop)',
    ),
    anywhere:
      /\b(?:function|regex|regular expression|python|javascript|typescript|java\b(?! island)|c\+\+|c#|golang|rust\b(?= (?:code|function|program))|kotlin|sql|html|css|bash|shell|script|code snippet|source code|stack trace|traceback|exception|compile[rs]?|unit tests?|api endpoint|rest api|docker\w*|kubernetes|git (?:commit|rebase|merge|push)|(?:for|while) loop|convert .{0,40}\b(?:json|yaml|csv|xml)|npm|pip install|react|django|node\.?js|typeerror|segfault|null pointer|funktion|función|fonction)\b/iu,
  },
  {
    intent: 'compute',
    opening: opens(
      "calculate|compute|solve|evaluate the (?:integral|expression|sum)|simplify|differentiate|integrate|add up|convert \\d+|berechne|rechne|löse|calcula|resuelve|calcule[rz]?|résous|résolvez|how much is|what(?:'s|’s| is) \\d|wie viel ist|cuánto es|combien font",
    ),
    anywhere:
      /\d\s?[-+*/×÷^=]\s?\(?\d|\b(?:square root|percent of|\d+% of|derivative|integral|equation|how many .{0,60}(?:left|altogether|in total))\b/iu,
  },
  {
    intent: 'analyze',
    opening: opens(
      'analy[sz]e|compare|evaluate|assess|review|critique|critici[sz]e|judge|rate|classify|categori[sz]e|proofread|check|examine|identify|contrast|analysiere|vergleiche|bewerte|prüfe|analiza|compara|evalúa|revisa|analyse[rz]?|compare[rz]?|évalue[rz]?',
    ),
    anywhere:
      /\b(?:pros and cons|advantages and disadvantages|sentiment|compare|difference between|vor- und nachteile|ventajas y desventajas|avantages et (?:les )?inconvénients)\b/iu,
  },
  {
    intent: 'explain',
    opening: opens(
      'explain|describe|elaborate|clarify|teach|walk me through|how do(?:es)?|how (?:is|are|did|can|to)|why|what (?:does|is|are) .{0,60}mean|erkläre?|beschreibe|warum|wieso|wie funktioniert|explica(?:me)?|explíca(?:me)?|describe|por qué|cómo|explique[rz]?|décris|décrivez|pourquoi|comment',
    ),
    anywhere: /\b(?:explain|elaborate on|help me understand|what does .{0,60} mean)\b/iu,
  },
  {
    intent: 'list',
    opening: opens(
      'list|name|enumerate|brainstorm|suggest|recommend|top \\d+|(?:\\d+|two|three|five|ten|several|few) (?:\\p{L}+ ){0,3}(?:ideas|examples|names|tips|ways|reasons|synonyms|facts|questions|books|movies)|nenne|liste|schlage|enumera|nombra|recomienda|lista|énumère|cite[rz]?|liste[rz]?|propose[rz]?|recommande[rz]?',
    ),
    anywhere:
      /\b(?:list of|give me (?:\d+|some|a few|several)|come up with (?:\d+|some|a few)|ideas for|(?:tips|advice|suggestions) (?:for|on|about))\b/iu,
  },
  {
    intent: 'write',
    opening: opens(
      'write|compose|draft|create|generate|rewrite|rephrase|paraphrase|make|produce|design|invent|come up with|expand|improve|edit|continue|complete|tell (?:me )?an? (?:\\p{L}+ )?(?:joke|story|tale|riddle)|joke|story|poem|haiku|riddle|schreibe?|verfasse|erstelle|entwirf|dichte|formuliere|erzähle?|escribe|redacta|crea|genera|inventa|cuenta|écris|écrivez|rédige[rz]?|crée[rz]?|compose[rz]?|invente[rz]?|raconte[rz]?|plan|recipe',
    ),
    anywhere:
      /\b(?:write|poem|essay|story|letter|email|e-mail|blog post|article|song|haiku|limerick|riddle|joke|cover letter|resume|pitch|speech|itinerary|gedicht|aufsatz|geschichte|brief|poema|ensayo|cuento|carta|poème|lettre|histoire)\b/iu,
  },
];

const smallTalk =
  /^\W*(?:(?:hi|hello|hey|yo|good (?:morning|evening|afternoon|night)|thanks?(?: you| a lot| so much)?|thx|ok(?:ay)?|cool|great|nice|bye|goodbye|see you|lol|how are you(?: doing)?(?: today)?|what['’]s up|hallo|guten (?:tag|morgen|abend)|danke(?: schön| dir| sehr)?|tschüss|wie geht(?:'s|’s| es dir)?|hola|buenos días|gracias|adiós|qué tal|bonjour|salut|merci(?: beaucoup)?|au revoir|ça va|there|everyone|that helped|perfect|got it|yes|no|sure)[\s,.!?]*){1,5}$/iu;

function readIntent(prompt: Prompt, hasQuestion: boolean): { intent: Intent; confidence: number } {
  const own = prompt.sentences.join(' ').slice(0, 2000);
  if (own.length <= 80 && smallTalk.test(own)) return { intent: 'chat', confidence: 0.95 };
  const scores = scoreIntents(prompt);
  if (hasQuestion) scores.set('question', (scores.get('question') ?? 0) + 1.5);
  if (/```|^[ \t]{0,12}(?:at \S+ ?\(|Traceback|\w+Error:)/m.test(prompt.raw))
    scores.set('code', (scores.get('code') ?? 0) + 2);
  const ranked = [...scores].sort((left, right) => right[1] - left[1]);
  const [best, second] = ranked;
  if (!best || best[1] <= 0) return { intent: 'other', confidence: 0.3 };
  const lead = (best[1] - (second?.[1] ?? 0)) / best[1];
  return {
    intent: best[0],
    confidence: Math.round(Math.min(0.98, 0.45 + 0.1 * best[1] + 0.3 * lead) * 100) / 100,
  };
}

/** The first sentences decide: each opening verb counts four at the start of the message, less further on. */
function scoreIntents(prompt: Prompt): Map<Intent, number> {
  const scores = new Map<Intent, number>();
  const sentences = prompt.sentences.slice(0, 12).map((sentence) => sentence.slice(0, 300));
  for (const [index, sentence] of sentences.entries()) {
    for (const cue of cues) {
      const weight = cueWeight(cue, sentence, index);
      if (weight > 0) scores.set(cue.intent, (scores.get(cue.intent) ?? 0) + weight);
    }
  }
  return scores;
}

function cueWeight(cue: Cue, sentence: string, index: number): number {
  const distance = 1 / (1 + index / 2);
  const opening = cue.opening.test(sentence) ? 4 * distance : 0;
  const within = cue.anywhere?.test(sentence) ? (cue.intent === 'code' ? 2.5 : 1.2) * distance : 0;
  return opening + within;
}

const hardIntents: ReadonlySet<Intent> = new Set<Intent>(['code', 'analyze', 'compute']);
const severalSteps =
  /\b(?:step[- ]by[- ]step|then|after that|afterwards|finally|in detail|detailed|comprehensive|thorough\w*|end[- ]to[- ]end|architecture|design a|danach|anschließend|ausführlich|después|detallad[oa]|ensuite|puis|détaillé)\b/giu;

/** Points for length, pasted material, several questions, steps and demands; two make it moderate, five complex. */
function readComplexity(
  message: string,
  prompt: Prompt,
  questions: number,
  constraints: number,
  intent: Intent,
): Complexity {
  const own = prompt.sentences.join(' ');
  const words = countWords(own);
  const steps = own.match(severalSteps)?.length ?? 0;
  const items = message.slice(0, 16_000).match(/^\s{0,8}(?:\d{1,2}[.)]|[-*•])\s/gm)?.length ?? 0;
  const points =
    lengthPoints(words, message.length) +
    Math.min(3, Math.max(0, questions - 1)) +
    Math.min(3, steps + Math.floor(items / 3)) +
    Math.min(3, Math.floor(constraints / 2)) +
    (hardIntents.has(intent) ? 1 : 0);
  if (points >= 5) return 'complex';
  return points >= 2 ? 'moderate' : 'simple';
}

function lengthPoints(words: number, characters: number): number {
  const own = words > 200 ? 3 : words > 80 ? 2 : words > 30 ? 1 : 0;
  return own + (characters > 16_000 ? 2 : characters > 2000 ? 1 : 0);
}
