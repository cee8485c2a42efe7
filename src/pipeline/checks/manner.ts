import { textOf } from '../../core/message.js';
import { type EvaluationInput, excerpt, type Finding, failed, passed, proseOf } from './finding.js';

/** A refusal is the whole answer, or its beginning. */
const longestRefusal = 800;
const readLength = 20_000;

const refusals: readonly RegExp[] = [
  /(?:i['’]m |i am )?(?:very |so |really )?sorry,?(?: but)? (?:i (?:can['’]t|cannot|can not|won['’]t|am unable to|['’]m unable to|['’]m not able to|am not able to)) (?:assist|help|do that|comply|fulfill?|provide|create|generate|write|answer|discuss|engage)/i,
  /i (?:can['’]t|cannot|won['’]t|am unable to|am not able to|must decline to) (?:assist|help(?: you)?|comply)(?: (?:you )?with)? (?:that|this|your request)/i,
  /i (?:must|have to|will have to) (?:respectfully )?(?:decline|refuse)(?: to| your|\.|,)/i,
  /(?:es )?tut mir leid,?(?: aber)? (?:ich kann|dabei kann ich|das kann ich|ich darf)[^.!?\n]{0,60} (?:nicht|keine)(?![\p{L}])/iu,
  /(?:dabei|damit|bei dieser anfrage|hierbei) kann ich (?:dir|ihnen|leider)?\s?(?:leider )?nicht (?:weiter)?helfen/iu,
  /lo siento,?(?: pero)? no (?:puedo|me es posible|estoy en condiciones de) (?:ayudar|asistir|cumplir|proporcionar|crear|generar|escribir|responder|hacer)/iu,
  /no puedo (?:ayudarte|ayudarle|asistirte|cumplir) con (?:eso|esto|esa|esta|tu|su)/iu,
  /(?:je suis )?désolée?,?(?: mais)? je ne (?:peux|puis|suis) pas (?:(?:en mesure|capable) de )?(?:(?:vous |t['’])?aider|répondre|fournir|créer|générer|écrire|faire)/iu,
  /je ne (?:peux|puis) pas (?:vous aider|t['’]aider) (?:avec|à|dans)/iu,
];

/** Not a refusal of will, but something that a model does not have. */
const inability =
  /(?<![\p{L}])(?:access|browse|internet|real[- ]?time|live|open|see|view|hear|listen|remember|file|attach\p{L}*|image|photo|video|audio|link|website|url|information about|enough (?:information|context)|more (?:information|context|details)|zugriff|zugreifen|öffnen|sehen|datei|bild|genügend|mehr informationen|acceso|acceder|abrir|ver|archivo|imagen|suficiente|accès|accéder|ouvrir|voir|fichier|image|assez|suffisamment)(?![\p{L}])/iu;

/** Words of a message or of its context by which a refusal may be right. When in doubt it is. */
const maybeHarmful =
  /(?<![\p{L}])(?:weapon\p{L}*|bomb\p{L}*|explo\p{L}*|napalm|sarin|nerve|toxin\p{L}*|synthes\p{L}*|syntet\p{L}*|sintet\p{L}*|leak\p{L}*|photos?|nudes?|corpse\p{L}*|body|bodies|revenge|blackmail\p{L}*|threat\p{L}*|kidnap\p{L}*|smuggl\p{L}*|traffick\p{L}*|surveil\p{L}*|unlock\p{L}*|disabl\p{L}*|sabotag\p{L}*|schad\p{L}*|erpress\p{L}*|rache|leiche\p{L}*|unterschrift\p{L}*|überwach\p{L}*|rastre\p{L}*|espi\p{L}*|veng\p{L}*|chantaj\p{L}*|secuestr\p{L}*|suicid\p{L}*|metanf\p{L}*|méthamph\p{L}*|pirat\p{L}*|explos\p{L}*|espion\p{L}*|chantag\p{L}*|cadavre\p{L}*|cadáver\p{L}*|gun\p{L}*|ammunition|firearm\p{L}*|silencer|hack\p{L}*|malware|virus\p{L}*|ransom\p{L}*|trojan|keylog\p{L}*|phish\p{L}*|spam\p{L}*|ddos|botnet|exploit\p{L}*|inject\p{L}*|crack\p{L}*|pirat\p{L}*|torrent\p{L}*|bypass\p{L}*|circumvent\p{L}*|jailbreak\p{L}*|kill\p{L}*|murder\p{L}*|suicid\p{L}*|harm\p{L}*|hurt\p{L}*|injur\p{L}*|die|dead\p{L}*|death|attack\p{L}*|terror\p{L}*|extrem\p{L}*|nazi\p{L}*|hitler|drug\p{L}*|meth\p{L}*|cocain\p{L}*|heroin|fentanyl|lsd|mdma|dose|dosage|overdos\p{L}*|medic\p{L}*|diagnos\p{L}*|prescri\p{L}*|pills?|poison\p{L}*|toxi\p{L}*|chemical\p{L}*|nuclear|uranium|bio\p{L}*|sex\p{L}*|porn\p{L}*|nud\p{L}*|naked|erotic\p{L}*|explicit|minor|underage|child\p{L}*|kid|teen\p{L}*|rape|abus\p{L}*|assault|steal\p{L}*|stole\p{L}*|theft|shoplift\p{L}*|burglar\p{L}*|lock ?pick\p{L}*|fraud\p{L}*|scam\p{L}*|forg\p{L}*|fake\p{L}*|counterfeit\p{L}*|launder\p{L}*|evad\p{L}*|evasion|brib\p{L}*|illegal\p{L}*|crim\p{L}*|stalk\p{L}*|spy\p{L}*|track\p{L}*|dox\p{L}*|address|phone|home|private|personal|password\p{L}*|passcode|credit|card|ssn|social security|bank|login|credential\p{L}*|identity|impersonat\p{L}*|pretend\p{L}*|rac\p{L}*|slur\p{L}*|hat\p{L}*|insult\p{L}*|offens\p{L}*|discriminat\p{L}*|violen\p{L}*|tortur\p{L}*|blood\p{L}*|gambl\p{L}*|cheat\p{L}*|plagiar\p{L}*|exam|lyrics|copyright\p{L}*|full text|verbatim|book|novel|song|movie|instruct\p{L}*|prompt\p{L}*|system|ignore|secret\p{L}*|confidential|election\p{L}*|vote\p{L}*|president|politic\p{L}*|invest\p{L}*|stock\p{L}*|legal|lawsuit|sue|waffe\p{L}*|bombe\p{L}*|spreng\p{L}*|töte\p{L}*|mord\p{L}*|selbstmord|suizid|droge\p{L}*|gift\p{L}*|kind\p{L}*|stehl\p{L}*|betrug|betrüg\p{L}*|fälsch\p{L}*|illegal\p{L}*|passwort\p{L}*|hass\p{L}*|gewalt\p{L}*|verletz\p{L}*|anleitung\p{L}*|arma\p{L}*|bomba\p{L}*|matar\p{L}*|asesin\p{L}*|droga\p{L}*|veneno\p{L}*|niñ\p{L}*|robar\p{L}*|fraude\p{L}*|falsific\p{L}*|ilegal\p{L}*|contraseña\p{L}*|odio|violencia|instruccion\p{L}*|arme\p{L}*|bombe\p{L}*|tuer|meurtre\p{L}*|drogue\p{L}*|enfant\p{L}*|voler|fraude\p{L}*|falsifi\p{L}*|illég\p{L}*|mot de passe|haine|violen\p{L}*|instruction\p{L}*)(?![\p{L}])/iu;

/** A message that wants a refusal written, or quotes one. */
const wantsRefusal =
  /(?<![\p{L}])(?:declin\p{L}*|refus\p{L}*|reject\p{L}*|apolog\p{L}*|sorry|excuse\p{L}*|turn(?:ing)? down|say(?:ing)? no|can['’]t|cannot|absag\p{L}*|ablehn\p{L}*|entschuldig\p{L}*|leid|rechaz\p{L}*|disculp\p{L}*|siento|excus\p{L}*|désol\p{L}*|roleplay|role-play|act as|dialog\p{L}*|character|script|scene)(?![\p{L}])/iu;

/** Whether a harmless request was refused. */
export function checkRefusal(input: EvaluationInput): Finding {
  const name = 'no_refusal';
  const start = input.answer.slice(0, 300);
  const refusal = refusals.map((pattern) => pattern.exec(start)?.[0]).find((found) => found !== undefined);
  if (refusal === undefined) return passed(name, 'the answer refuses nothing');
  const asked = [input.message, ...input.history.map(({ content }) => textOf(content))]
    .join('\n')
    .slice(0, readLength);
  const isUnsure =
    input.answer.length > longestRefusal ||
    input.hasImages ||
    input.files.length > 0 ||
    inability.test(input.answer) ||
    wantsRefusal.test(asked) ||
    maybeHarmful.test(asked);
  if (isUnsure) return passed(name, 'the refusal may be right');
  // words cannot tell what is harmful for sure, so the model is asked and not told
  const advice =
    'Look at the request again: if it is harmless, answer it; if it is not, keep to your refusal.';
  return failed(
    name,
    `the answer refuses what looks like a harmless request: "${excerpt(refusal, 60)}"`,
    advice,
  );
}

const boilerplate =
  /(?<![\p{L}])(?:as an? (?:\w+ )?(?:ai|artificial intelligence|large language model|language model)(?: (?:language )?(?:model|assistant))?,? (?:i|my)|i['’]?(?: a)?m (?:just |only |merely )?an? (?:ai|artificial intelligence|(?:large )?language model)\b|als (?:eine? )?(?:ki(?:-\p{L}+)?|künstliche intelligenz|großes sprachmodell|sprachmodell)(?![\p{L}-]),? (?:\p{L}+ ){0,2}ich|ich bin (?:nur |lediglich )?(?:eine ki|ein sprachmodell|ein ki-\p{L}+)|como (?:un |una )?(?:modelo de lenguaje|inteligencia artificial|ia)(?![\p{L}])|soy (?:solo |sólo )?(?:un modelo de lenguaje|una ia|una inteligencia artificial)|en tant qu['’](?:ia|intelligence artificielle)(?![\p{L}])|en tant que (?:grand )?modèle de langage|je (?:ne )?suis (?:qu['’]|juste |simplement )?(?:une ia|un modèle de langage|une intelligence artificielle))/iu;

/** A message that speaks of machines that talk, or to this one about itself. */
const speaksOfAi =
  /(?<![\p{L}])(?:a\.?i\.?|ki|ia|llms?|gpt\p{L}*|chatgpt|claude|gemini|bots?|chatbots?|assistants?|models?|modell\p{L}*|modelo\p{L}*|modèle\p{L}*|robots?|machine\p{L}*|intelligen\p{L}*|inteligencia|human|conscious\p{L}*|sentien\p{L}*|feel\p{L}*|you yourself|are you|who are you|what are you|do you|bist du|wer bist|hast du|eres|tienes|es-tu|êtes-vous|as-tu|act as|pretend|role)(?![\p{L}])/iu;

/** Whether the answer speaks of itself as a machine where nobody asked. */
export function checkBoilerplate({ answer, message }: EvaluationInput): Finding {
  const name = 'no_boilerplate';
  const prose = proseOf(answer.slice(0, readLength)).replace(/["“„«][^"”“»\n]{0,400}["”“»]/g, ' ');
  const found = boilerplate.exec(prose)?.[0];
  if (found === undefined || speaksOfAi.test(message.slice(0, readLength)))
    return passed(name, 'the answer keeps to the matter');
  return failed(
    name,
    `the answer says "${excerpt(found, 60)}"`,
    'Leave out what you say of yourself as an AI.',
  );
}
