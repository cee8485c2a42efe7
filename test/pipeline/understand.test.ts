import { describe, expect, test } from 'vitest';
import { readMessage } from '../../src/pipeline/understand.js';

describe('the intent of', () => {
  test.each([
    ['question', 'What is the capital of France?'],
    ['explain', 'Explain how photosynthesis works.'],
    ['explain', 'Why is the sky blue?'],
    ['write', 'Write a haiku about autumn.'],
    ['code', 'Write a Python function that reverses a list.'],
    ['code', 'Fix this bug: TypeError: x is undefined'],
    ['analyze', 'Compare Postgres and MySQL.'],
    ['summarize', 'Can you summarize this article for me?'],
    ['translate', 'Translate "good morning" into German.'],
    ['compute', 'What is 17 * 23?'],
    ['list', 'Give me 10 baby names.'],
    ['chat', 'Hello!'],
    ['chat', 'thanks a lot'],
    ['other', 'Blue.'],
    ['explain', 'Erkläre mir die Relativitätstheorie.'],
    ['write', 'Escribe un poema sobre el mar.'],
    ['translate', 'Traduis cette phrase en anglais : il pleut.'],
  ])('%s: %s', (intent, message) => {
    expect(readMessage(message).intent).toBe(intent);
  });
});

test('a reading holds language, questions and constraints', () => {
  expect(readMessage('Was ist ein Quark? Antworte in höchstens 20 Wörtern.')).toEqual({
    intent: 'question',
    confidence: expect.any(Number),
    language: 'de',
    complexity: 'simple',
    questions: ['Was ist ein Quark?'],
    constraints: [
      { id: 'length_constraints:number_words', kwargs: { relation: 'less than', num_words: 21 } },
    ],
  });
});

test('questions in quotations, code and pasted text are not asked', () => {
  const message =
    'Proofread the following text:\n\nWho are you?\n\nThen: is "What now?" rude?\n```\nwhy?\n```';
  expect(readMessage(message).questions).toEqual([]);
  expect(readMessage('Is "What now?" rude? how do i reply').questions).toEqual([
    'Is "What now?" rude?',
    'how do i reply',
  ]);
});

test('complexity grows with length, questions and steps', () => {
  const steps =
    'Design a billing system step by step. Then compare it with Stripe, and finally plan the migration in detail.';
  const questions = 'What does it cost? Who runs it? How long does it take?';
  expect(readMessage('What is DNS?').complexity).toBe('simple');
  expect(readMessage(`${questions} Explain it step by step.`).complexity).toBe('moderate');
  expect(readMessage(`${steps} ${questions}`).complexity).toBe('complex');
});
