import { describe, expect, test } from 'vitest';
import { findConstraints } from '../../src/pipeline/constraints/find.js';
import { ordinaryPrompts } from './ordinary-prompts.js';

const words = (relation: string, count: number) => ({
  id: 'length_constraints:number_words',
  kwargs: { relation, num_words: count },
});
const sentences = (relation: string, count: number) => ({
  id: 'length_constraints:number_sentences',
  kwargs: { relation, num_sentences: count },
});
const plain = (id: string) => ({ id, kwargs: {} });
const noComma = plain('punctuation:no_comma');
const lowercase = plain('change_case:english_lowercase');
const uppercase = plain('change_case:english_capital');
const json = plain('detectable_format:json_format');
const title = plain('detectable_format:title');
const existence = (...keywords: string[]) => ({ id: 'keywords:existence', kwargs: { keywords } });
const forbidden = (...list: string[]) => ({
  id: 'keywords:forbidden_words',
  kwargs: { forbidden_words: list },
});
const frequency = (relation: string, keyword: string, count: number) => ({
  id: 'keywords:frequency',
  kwargs: { relation, keyword, frequency: count },
});
const letter = (relation: string, name: string, count: number) => ({
  id: 'keywords:letter_frequency',
  kwargs: { let_relation: relation, letter: name, let_frequency: count },
});
const bullets = (count: number) => ({
  id: 'detectable_format:number_bullet_lists',
  kwargs: { num_bullets: count },
});
const language = (code: string) => ({ id: 'language:response_language', kwargs: { language: code } });
const end = (phrase: string) => ({ id: 'startend:end_checker', kwargs: { end_phrase: phrase } });
const repeat = (prompt: string) => ({
  id: 'combination:repeat_prompt',
  kwargs: { prompt_to_repeat: prompt },
});

type Case = [message: string, ...found: unknown[]];

const english: Case[] = [
  ['Describe Rome. Keep it under 80 words.', words('less than', 80)],
  ['Write a story (max 200 words) about a fox.', words('less than', 201)],
  ['Explain DNS using between 100 and 150 words.', words('at least', 100), words('less than', 151)],
  ["Tell me about tea. I don't want anything longer than 30 words.", words('less than', 31)],
  ['The total number of words in your response should be at least 250.', words('at least', 250)],
  ['What is a monad, in at most fifty words?', words('less than', 51)],
  ['Answer in one word.', words('at least', 1), words('less than', 2)],
  ['Tell me about owls in no more than 4 sentences.', sentences('less than', 5)],
  [
    'Respond with at least 12 sentences but fewer than 20.',
    sentences('at least', 12),
    sentences('less than', 20),
  ],
  ['Keep it under 3 sentences (just 1 or 2 sentences, not 3).', sentences('less than', 3)],
  ['Explain gravity, and do not use the words "force" or "mass".', forbidden('force', 'mass')],
  ['Write a poem. The word moon should not appear.', forbidden('moon')],
  ['Avoid the following keywords: sleep, cook, feed', forbidden('sleep', 'cook', 'feed')],
  ['Use these keywords in your text:\n- solar\n- wind', existence('solar', 'wind')],
  [
    'The email must include the keywords "a1" and "b2" and should not use any commas.',
    existence('a1', 'b2'),
    noComma,
  ],
  [
    'Mention the word dose at least 5 times, and the word pill once or less.',
    frequency('at least', 'dose', 5),
    frequency('less than', 'pill', 2),
  ],
  ['Do not use the word the more than twice.', frequency('less than', 'the', 3)],
  ['Write a song without the letter e.', letter('less than', 'e', 1)],
  ['The letter q should show up at least four times.', letter('at least', 'q', 4)],
  ['Use 6 or more exclamation marks.', letter('at least', '!', 6)],
  ['Give me exactly five bullets on climate change.', bullets(5)],
  [
    'Use no more than 2 bullet points.',
    { id: 'detectable_format:number_bullet_lists', kwargs: { relation: 'less than', num_bullets: 3 } },
  ],
  ['Return only valid JSON, no prose.', json],
  [
    'Respond in JSON with the keys "name" and "age".',
    json,
    { id: 'detectable_format:json_keys', kwargs: { keys: ['name', 'age'] } },
  ],
  [
    'Write two paragraphs about cats.',
    { id: 'length_constraints:number_paragraphs', kwargs: { num_paragraphs: 2, separator: 'blank_line' } },
  ],
  [
    'Give me a 3-paragraph essay. Separate paragraphs with ***.',
    { id: 'length_constraints:number_paragraphs', kwargs: { num_paragraphs: 3 } },
  ],
  [
    'Write 5 paragraphs. The last paragraph must begin with the word finally.',
    {
      id: 'length_constraints:nth_paragraph_first_word',
      kwargs: { first_word: 'finally', num_paragraphs: 5, nth_paragraph: 5 },
    },
  ],
  ['Give two different answers, separated by ******.', plain('combination:two_responses')],
  ['Please respond in lowercase only.', lowercase],
  ['Write everything in uppercase.', uppercase],
  [
    'Use at least 3 words in all caps.',
    {
      id: 'change_case:capital_word_frequency',
      kwargs: { capital_relation: 'at least', capital_frequency: 3 },
    },
  ],
  [
    'Highlight 2 phrases using markdown asterisks.',
    { id: 'detectable_format:number_highlighted_sections', kwargs: { num_highlights: 2 } },
  ],
  [
    'Include at least four placeholders, e.g. [name].',
    { id: 'detectable_content:number_placeholders', kwargs: { num_placeholders: 4 } },
  ],
  [
    'Make a plan with 5 parts; each part must start with PART X.',
    { id: 'detectable_format:multiple_sections', kwargs: { section_spliter: 'PART', num_sections: 5 } },
  ],
  ['Add a title in double angular brackets.', title],
  ['Wrap your answer in double quotes.', plain('startend:quotation')],
  ['Finish with the words "that is all".', end('that is all')],
  ['End your answer with this exact phrase: Hope it helps.', end('Hope it helps.')],
  [
    'Start your response with "Dear reader".',
    { id: 'startend:start_checker', kwargs: { start_phrase: 'Dear reader' } },
  ],
  ['Add a P.S. at the end.', { id: 'detectable_content:postscript', kwargs: { postscript_marker: 'P.S.' } }],
  [
    'Is 7 prime? Answer yes or no.',
    { id: 'detectable_format:constrained_response', kwargs: { options: ['yes', 'no'] } },
  ],
  ['Does it rain in London? Respond in Portuguese.', language('pt')],
  ['Write your response entirely in Vietnamese.', language('vi')],
  ['Why do cats purr?\nFirst repeat the question word for word, then answer.', repeat('Why do cats purr?')],
  ['Repeat the request below without change, then answer.\n\nWrite a haiku.', repeat('Write a haiku.')],
  [
    'Write a tweet in under 280 characters.',
    { id: 'length_constraints:number_characters', kwargs: { relation: 'less than', num_characters: 280 } },
  ],
  ['Put it in a markdown table.', plain('detectable_format:table')],
  ['Do not use any emojis.', plain('detectable_content:no_emoji')],
  ['Do not use markdown.', plain('detectable_format:plain_text')],
  [
    'Do not use any exclamation marks.',
    { id: 'punctuation:forbidden_characters', kwargs: { characters: ['!'] } },
  ],
];

const german: Case[] = [
  ['Schreibe einen Text über Hunde mit mindestens 300 Wörtern.', words('at least', 300)],
  ['Erkläre Photosynthese in höchstens 50 Wörtern.', words('less than', 51)],
  ['Antworte in weniger als 5 Sätzen.', sentences('less than', 5)],
  ['Fasse den Text in genau drei Sätzen zusammen.', sentences('at least', 3), sentences('less than', 4)],
  ['Verwende in deiner Antwort keine Kommas.', noComma],
  ['Schreibe eine Geschichte und verwende die Wörter "Mond" und "Fluss".', existence('mond', 'fluss')],
  ['Verwende nicht die Wörter Haus, Baum und Katze.', forbidden('haus', 'baum', 'katze')],
  ['Das Wort "Sonne" soll mindestens dreimal vorkommen.', frequency('at least', 'sonne', 3)],
  ['Gib deine gesamte Antwort im JSON-Format aus.', json],
  ['Was ist ein Quark? Antworte bitte auf Französisch.', language('fr')],
  ['Erwähne das Wort Auto nicht.', forbidden('auto')],
  ['Kannst du mir auf Spanisch erklären, was ein Vulkan ist?', language('es')],
  [
    'Bitte antworte in zwei bis vier Sätzen: Was ist Strom?',
    sentences('at least', 2),
    sentences('less than', 5),
  ],
  ['Nenne die Vorteile in genau 4 Stichpunkten.', bullets(4)],
  ['Schreibe alles in Kleinbuchstaben.', lowercase],
  ['Füge einen Titel in doppelten spitzen Klammern hinzu, z. B. <<Titel>>.', title],
];

const spanish: Case[] = [
  ['Escribe un ensayo de al menos 200 palabras sobre el mar.', words('at least', 200)],
  ['Responde en un máximo de 3 frases.', sentences('less than', 4)],
  ['No uses comas en tu respuesta.', noComma],
  ['Incluye las palabras "sol" y "luna".', existence('sol', 'luna')],
  ['No utilices las palabras casa, perro ni gato en tu respuesta.', forbidden('casa', 'perro', 'gato')],
  ['La palabra "mar" debe aparecer al menos 4 veces.', frequency('at least', 'mar', 4)],
  ['Devuelve toda la respuesta en formato JSON.', json],
  ['¿Qué es un agujero negro? Responde solo en alemán.', language('de')],
  ['Tu respuesta debe tener entre 50 y 80 palabras.', words('at least', 50), words('less than', 81)],
  ['Incluye las siguientes palabras: sol, luna, estrella.', existence('sol', 'luna', 'estrella')],
  ['Da exactamente 5 viñetas con consejos.', bullets(5)],
  ['Usa solo letras minúsculas en toda la respuesta.', lowercase],
  ['Incluye un título entre dobles corchetes angulares, por ejemplo <<título>>.', title],
];

const french: Case[] = [
  ["Écris un texte d'au moins 150 mots sur Paris.", words('at least', 150)],
  ['Réponds en 2 phrases maximum.', sentences('less than', 3)],
  ["N'utilise aucune virgule dans ta réponse.", noComma],
  ['Utilise les mots « soleil » et « pluie » dans ta réponse.', existence('soleil', 'pluie')],
  ["N'emploie pas les mots chat et chien.", forbidden('chat', 'chien')],
  ['Le mot « mer » doit apparaître au moins 3 fois.', frequency('at least', 'mer', 3)],
  ['Donne toute ta réponse au format JSON.', json],
  ['Quelle est la capitale du Japon ? Réponds uniquement en espagnol.', language('es')],
  ['Limite ta réponse à 60 mots.', words('less than', 61)],
  ['Termine ta réponse par « Bonne chance ! ».', end('Bonne chance !')],
  ['Donne exactement 3 puces.', bullets(3)],
  ['Écris toute ta réponse en minuscules.', lowercase],
  ['Ajoute un titre entre doubles chevrons, par exemple <<titre>>.', title],
];

describe('constraints are found in', () => {
  test.each(english)('English: %s', (message, ...found) => {
    expect(findConstraints(message)).toEqual(found);
  });
  test.each(german)('German: %s', (message, ...found) => {
    expect(findConstraints(message)).toEqual(found);
  });
  test.each(spanish)('Spanish: %s', (message, ...found) => {
    expect(findConstraints(message)).toEqual(found);
  });
  test.each(french)('French: %s', (message, ...found) => {
    expect(findConstraints(message)).toEqual(found);
  });
});

const code = (name?: string) => ({
  id: 'detectable_format:code_block',
  kwargs: name === undefined ? {} : { language: name },
});
const numbered = (count?: number) => ({
  id: 'detectable_format:numbered_list',
  kwargs: count === undefined ? {} : { num_items: count },
});
const address = (form: string, name: string) => ({
  id: 'detectable_content:form_of_address',
  kwargs: { form, language: name },
});
const citations = (count: number) => ({
  id: 'detectable_content:citations',
  kwargs: { num_citations: count },
});
const characters = (count: number) => ({
  id: 'length_constraints:number_characters',
  kwargs: { relation: 'less than', num_characters: count },
});
const table = plain('detectable_format:table');
const schema = { type: 'object', properties: { a: { type: 'string' } } };

const beyondTheBenchmark: Case[] = [
  ['Explain closures. Put the code in a fenced code block.', code()],
  ['Show me quicksort. The code must be in Rust.', code('rust')],
  ['Zeig mir Quicksort. Der Code soll in Go geschrieben sein.', code('go')],
  ['Escribe un ejemplo. El código debe estar en Python.', code('python')],
  ['Donne un exemple. Le code doit être en PHP.', code('php')],
  ['Use TypeScript for all examples.', code('typescript')],
  ['Write a Python function that reverses a list.'],
  ['Show it, but do not put it in a code block.'],
  ['List the planets as a numbered list.', numbered()],
  ['Give me 5 tips in a numbered list.', numbered(5)],
  ['Als nummerierte Liste mit 4 Punkten, bitte.', numbered(4)],
  ['Haz una lista numerada de 5 elementos.', numbered(5)],
  ['Fais une liste numérotée de 3 points.', numbered(3)],
  ['Schreibe mir eine Mail. Duze mich.', address('informal', 'de')],
  ['Schreibe mir eine Mail. Bitte duze mich nicht.', address('formal', 'de')],
  ['Sprich mich mit "Sie" an.', address('formal', 'de')],
  ['Escribe un texto. Tutéame.', address('informal', 'es')],
  ['Escribe un texto. Trátame de usted.', address('formal', 'es')],
  ['Écris un mail. Tutoie-moi.', address('informal', 'fr')],
  ['Écris un mail. Ne me tutoie pas.', address('formal', 'fr')],
  ['Explain black holes and cite at least 3 sources.', citations(3)],
  ['Erkläre Ebbe und Flut. Nenne mindestens zwei Quellen.', citations(2)],
  ['Explica las mareas. Incluye referencias.', citations(1)],
  ['Explique les marées. Cite tes sources.', citations(1)],
  ['Write a cover letter and include references to my time in Paris.'],
  ['Write it in no more than 280 characters.', characters(281)],
  ['Schreib es mit maximal 280 Zeichen.', characters(281)],
  ['Escríbelo con un máximo de 280 caracteres.', characters(281)],
  ['Écris-le en 280 caractères maximum.', characters(281)],
  ['Give me a table of the planets.', table],
  ['Stelle es als Tabelle dar.', table],
  ['Preséntalo en una tabla.', table],
  ['Présente-le sous forme de tableau.', table],
  [
    `Answer in JSON that matches this schema:\n\`\`\`json\n${JSON.stringify(schema)}\n\`\`\``,
    json,
    { id: 'detectable_format:json_schema', kwargs: { schema } },
  ],
  [`Why does my answer not match this schema: ${JSON.stringify(schema)}`],
];

test.each(beyondTheBenchmark)('%s', (message, ...found) => {
  expect(findConstraints(message)).toEqual(found);
});

test('ordinary prompts demand nothing', () => {
  const wrong = ordinaryPrompts.filter((message) => findConstraints(message).length > 0);
  expect(wrong).toEqual([]);
});

describe('what is quoted or pasted demands nothing', () => {
  const material: [message: string, ...found: unknown[]][] = [
    [
      'Summarize this in 2 sentences.\n```\n// use at least 300 words\n```',
      sentences('at least', 2),
      sentences('less than', 3),
    ],
    [
      'Translate the following text into French:\n\nDo not use commas.\n\nUse at most 50 words.',
      words('less than', 51),
    ],
    ['> Write 5 bullet points.\n\nIs that a clear request?'],
    ['Rewrite "Use fewer than 10 words" politely.'],
  ];
  test.each(material)('%s', (message, ...found) => {
    expect(findConstraints(message)).toEqual(found);
  });
});
