import { describe, expect, test } from 'vitest';
import { checkOf } from '../helpers/evaluation.ts';

const check = (message: string, answer: string) => checkOf('questions_answered', { message, answer });

describe('a question that is left out fails', () => {
  test.each([
    [
      'What is the capital of France? What is the population of Iceland?',
      'The capital of France is Paris.',
      'What is the population of Iceland?',
    ],
    [
      'What is the capital of France? How do I cook rice? Who wrote Faust?',
      'The capital of France is Paris. To cook rice, rinse it and simmer it for 15 minutes.',
      'Who wrote Faust?',
    ],
    [
      'Why is the sky blue? What colour is the sea?',
      'The sky is blue because of Rayleigh scattering.',
      'What colour is the sea?',
    ],
    [
      'What is aspirin used for? Which vitamins help the immune system?',
      'Aspirin is used for pain.',
      'Which vitamins help the immune system?',
    ],
    [
      'Who wrote Hamlet? Who painted the Mona Lisa?',
      'Shakespeare wrote Hamlet.',
      'Who painted the Mona Lisa?',
    ],
    [
      'How does DNS work? How many root servers exist?',
      'DNS turns names into addresses: a resolver asks whoever knows a zone and keeps the result for a while.',
      'How many root servers exist?',
    ],
    [
      'Was ist die Hauptstadt von Spanien? Wie viele Einwohner hat Island?',
      'Die Hauptstadt von Spanien ist Madrid.',
      'Wie viele Einwohner hat Island?',
    ],
    [
      '¿Cuál es la capital de Italia? ¿Cuántos habitantes tiene Islandia?',
      'La capital de Italia es Roma.',
      '¿Cuántos habitantes tiene Islandia?',
    ],
    [
      "Quelle est la capitale de l'Espagne ? Combien d'habitants compte l'Islande ?",
      "La capitale de l'Espagne est Madrid.",
      "Combien d'habitants compte l'Islande ?",
    ],
    [
      '1. What is a mutex?\n2. What is a semaphore?\n3. What is a barrier?',
      '1. A lock that one thread holds.\n2. A counter of permits.',
      '3. What is a barrier?',
    ],
    [
      'How do I install PostgreSQL on Ubuntu? Which nightly backup strategy protects against hardware failure?',
      `Install PostgreSQL on Ubuntu with the package manager. ${'Run apt update first, then apt install postgresql, and look at the status of the service. '.repeat(4)}`,
      'Which nightly backup strategy protects against hardware failure?',
    ],
  ])('%s', (message, answer, question) => {
    expect(check(message, answer)).toEqual({
      name: 'questions_answered',
      passed: false,
      detail: `not answered: "${question}"`,
    });
  });
});

describe('an answer that may be meant for every question passes', () => {
  test.each([
    ['Who is the CEO of Apple? When did he start?', 'Tim Cook has been the CEO of Apple since 2011.'],
    [
      'How tall is Mont Blanc? Which country is it in?',
      'Mont Blanc is 4,806 m high and lies on the border between France and Italy.',
    ],
    [
      'What is aspirin used for? What are its side effects?',
      'Aspirin relieves pain and fever. It may cause nausea and stomach bleeding.',
    ],
    ['Is it raining? Do I need an umbrella?', 'No.'],
    [
      'How far away is the moon? How long would driving take?',
      'The moon is 384,400 km away, about 160 days by car.',
    ],
    ['When was Rome founded? When did it fall?', 'Rome was founded in 753 BC and fell in 476.'],
    [
      'Who founded Microsoft? Who leads Apple today?',
      'Microsoft was founded by Bill Gates, and Tim Cook is at the helm in Cupertino.',
    ],
    [
      'Where is Lisbon? What do people eat for breakfast?',
      'Lisbon is in Portugal, and most have coffee with a pastry in the morning.',
    ],
    ['Who wrote Hamlet? Who wrote Macbeth?', 'Shakespeare wrote both.'],
    ["What's the capital of Australia? Is it Sydney?", 'Canberra is the capital of Australia.'],
    [
      'What is the boiling point of water? And its freezing point?',
      'Water boils at 100 °C and freezes at 0 °C.',
    ],
    [
      'What is the population of Oslo? Which river flows through it?',
      'Oslo has about 700,000 inhabitants, and the Akerselva runs through it.',
    ],
    [
      'Could you help me with my essay? What is a good title for a text about bees?',
      '"The Quiet Workers" would be a good title for a text about bees.',
    ],
    ['How do I sort a list in Python? How do I reverse it?', '```python\nitems.sort()\nitems[::-1]\n```'],
    [
      'Which one should I buy? What is your budget advice?',
      'That depends: do you need it for travel or for the office?',
    ],
    [
      'What is a monad? Why would I use one?',
      'A monad is a way to chain computations.\n\nIt keeps effects explicit, which makes programs easier to reason about.',
    ],
    [
      'Was ist Photosynthese? Wo findet sie statt?',
      'Bei der Photosynthese wandeln Pflanzen Licht in Energie um, und zwar in den Chloroplasten.',
    ],
    ['¿Quién pintó el Guernica? ¿En qué año?', 'Picasso pintó el Guernica en 1937.'],
    ['Qui a écrit Les Misérables ? En quelle année ?', 'Victor Hugo a publié Les Misérables en 1862.'],
    [
      'How much does the museum cost? When does it open?',
      'Entry to the museum is free, and it opens at nine.',
    ],
    ['1. What is a mutex?\n2. What is a semaphore?', '1. A lock.\n2. A counter of permits.'],
    [
      'Translate: How are you? Where do you live? What do you do?',
      'Wie geht es dir? Wo wohnst du? Was machst du?',
    ],
    [
      'Write an FAQ for our bakery: When do you open? Do you sell gluten-free bread?',
      'Our bakery welcomes you every day.',
    ],
    ['What does the config say? Which port is used?', 'I cannot find that in the config.'],
  ])('%s', (message, answer) => {
    expect(check(message, answer)?.passed ?? true).toBe(true);
  });

  test('one question is not checked', () => {
    expect(check('What is the capital of France?', 'Bananas.')).toBeUndefined();
  });

  test('an answer that must be in another language or as JSON is not sure', () => {
    const message = 'What is the capital of France? What is the population of Iceland?';
    const answer = 'The capital of France is Paris.';
    const german = [{ id: 'language:response_language', kwargs: { language: 'de' } }];
    expect(checkOf('questions_answered', { message, answer, constraints: german })?.passed).toBe(true);
    expect(
      checkOf('questions_answered', { message, answer, responseFormat: { type: 'json_object' } })?.passed,
    ).toBe(true);
  });
});
