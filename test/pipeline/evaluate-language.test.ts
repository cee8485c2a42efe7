import { describe, expect, test } from 'vitest';
import type { EvaluationInput } from '../../src/pipeline/checks/finding.ts';
import { checkOf } from '../helpers/evaluation.ts';

const text = {
  en: 'Photosynthesis is the process by which plants turn light into energy. They take in water and carbon dioxide, and with the help of sunlight they make sugar and give off oxygen, which we breathe.',
  de: 'Photosynthese ist der Vorgang, bei dem Pflanzen Licht in Energie umwandeln. Sie nehmen Wasser und Kohlendioxid auf, bilden mit Hilfe des Sonnenlichts Zucker und geben Sauerstoff ab, den wir atmen.',
  es: 'La fotosíntesis es el proceso por el cual las plantas convierten la luz en energía. Toman agua y dióxido de carbono, y con la ayuda del sol producen azúcar y liberan el oxígeno que respiramos.',
  fr: "La photosynthèse est le processus par lequel les plantes transforment la lumière en énergie. Elles absorbent de l'eau et du dioxyde de carbone, et avec l'aide du soleil elles produisent du sucre.",
  it: 'La fotosintesi è il processo con cui le piante trasformano la luce in energia. Assorbono acqua e anidride carbonica e, con l’aiuto del sole, producono zucchero e liberano ossigeno che noi respiriamo.',
};
const ask = {
  en: 'Can you explain how photosynthesis works in plants?',
  de: 'Kannst du mir bitte erklären, wie die Photosynthese funktioniert?',
  es: '¿Me puedes explicar cómo funciona la fotosíntesis en las plantas?',
  fr: "Peux-tu m'expliquer comment fonctionne la photosynthèse ?",
};
const check = (message: string, answer: string, more: Partial<EvaluationInput> = {}) =>
  checkOf('answer_language', { message, answer, ...more });

describe('an answer in another language than the message fails', () => {
  test.each([
    [ask.en, text.de, 'English', 'German'],
    [ask.en, text.es, 'English', 'Spanish'],
    [ask.en, text.it, 'English', 'Italian'],
    [ask.de, text.en, 'German', 'English'],
    [ask.de, text.fr, 'German', 'French'],
    [ask.es, text.en, 'Spanish', 'English'],
    [ask.fr, text.en, 'French', 'English'],
    [ask.fr, text.de, 'French', 'German'],
  ])('%s', (message, answer, wanted, found) => {
    expect(check(message, answer)).toEqual({
      name: 'answer_language',
      passed: false,
      detail: `the message is in ${wanted}, the answer in ${found}`,
    });
  });
});

describe('passes', () => {
  test.each([
    ['the same language', ask.en, text.en],
    ['the same language, German', ask.de, text.de],
    ['the same language, Spanish', ask.es, text.es],
    ['the same language, French', ask.fr, text.fr],
    ['a short answer', ask.en, 'Licht wird zu Zucker.'],
    [
      'an answer of code',
      ask.de,
      '```python\n# This function returns the sum of all the numbers that are in the list\ndef total(numbers):\n    return sum(numbers)\n```',
    ],
    ['a quotation of another language', ask.en, `The German Wikipedia puts it like this: "${text.de}"`],
    [
      'a block quotation',
      ask.en,
      `As one book says:\n\n> ${text.de}\n\nThat is all there is to it, and it holds for every green plant that you can find in a garden.`,
    ],
    ['laughter', ask.en, 'ha ha '.repeat(60)],
    ['codes', ask.en, Array.from({ length: 80 }, (_, index) => `w${index} xq${index}`).join(' ')],
    ['half and half', ask.en, `${text.en}\n\n${text.de}`],
    ['a table', ask.en, `| Begriff | Bedeutung |\n|---|---|\n| Licht | ${text.de} |`],
    ['a language that is named', 'Explain to me in German how photosynthesis works in plants.', text.de],
    ['a translation', 'Please translate this text for my German friends.', text.de],
    ['a message of few words', 'Photosynthesis explained', text.de],
    [
      'names',
      'Which composers should I know about this week?',
      'Johann Sebastian Bach, Wolfgang Amadeus Mozart, Ludwig van Beethoven, Franz Schubert, Robert Schumann, Johannes Brahms, Richard Wagner, Gustav Mahler, Antonio Vivaldi, Giuseppe Verdi',
    ],
  ])('%s', (_, message, answer) => {
    expect(check(message, answer)?.passed ?? true).toBe(true);
  });

  test('what a constraint, the history or the format leaves open', () => {
    const german = [{ id: 'language:response_language', kwargs: { language: 'de' } }];
    expect(check(ask.en, text.de, { constraints: german })?.passed ?? true).toBe(true);
    expect(check(ask.en, text.de, { responseFormat: { type: 'json_object' } })).toBeUndefined();
    const history = [
      { role: 'user' as const, content: 'Ab jetzt bitte nur noch auf Deutsch antworten.' },
      { role: 'assistant' as const, content: [{ type: 'text' as const, text: 'Gern.' }] },
    ];
    expect(check(ask.en, text.de, { history })?.passed ?? true).toBe(true);
    expect(
      check(ask.en, text.de, { history: [{ role: 'system', content: 'You are Anna.' }] })?.passed ?? true,
    ).toBe(true);
    expect(check(ask.en, text.de, { history: [{ role: 'user', content: 'Hello there.' }] })?.passed).toBe(
      false,
    );
  });
});
