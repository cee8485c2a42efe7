import type { EvaluationInput } from '../../src/pipeline/checks/finding.ts';
import { evaluateAnswer } from '../../src/pipeline/evaluate.ts';
import { readMessage } from '../../src/pipeline/understand.ts';

/** What evaluation is given when a message was answered without anything special. */
export function evaluationInput(given: Partial<EvaluationInput>): EvaluationInput {
  const message = given.message ?? 'Say something.';
  return {
    answer: 'Fine.',
    finishReason: 'stop',
    exitReason: 'completed',
    constraints: [],
    responseFormat: { type: 'text' },
    message,
    reading: readMessage(message),
    history: [],
    files: [],
    hasImages: false,
    systemPrompt: '',
    turns: [],
    ...given,
  };
}

/** A check's result for an answer; undefined when it was not made. */
export function checkOf(name: string, given: Partial<EvaluationInput>) {
  const { checks } = evaluateAnswer(evaluationInput(given));
  return checks.find((check) => check.name === name);
}
