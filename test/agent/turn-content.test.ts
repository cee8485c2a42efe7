import { expect, test } from 'vitest';
import { createTurnContent } from '../../src/agent/turn-content.ts';
import type { Attempt, AttemptOutcome } from '../../src/core/events.ts';
import { noUsage } from '../../src/core/message.ts';

const attempt = (outcome: AttemptOutcome, model = 'm'): Attempt => ({
  provider: 'p',
  model,
  outcome,
  usage: noUsage,
  durationMs: 1,
});
const think = (text: string, seal = {}) => ({ type: 'reasoning-delta' as const, text, ...seal });

test('what was said and thought stays in its order, and seals name their model', () => {
  const content = createTurnContent();
  content.addThinking(think('One '));
  content.addThinking(think('two.'));
  content.addThinking(think('', { signature: 's1' }));
  content.addText('So ');
  content.addText('far.');
  content.addThinking(think('', { redacted: 'r1' }));
  content.addThinking(think('Three.'));
  content.endAttempt(attempt('ok'));
  expect(content.blocks).toEqual([
    { type: 'thinking', thinking: 'One two.', signature: 's1', sealedBy: 'p/m' },
    { type: 'text', text: 'So far.' },
    { type: 'thinking', thinking: '', redacted: 'r1', sealedBy: 'p/m' },
    { type: 'thinking', thinking: 'Three.' },
  ]);
});

test('a call that failed leaves its thinking without seals, and nothing joins it', () => {
  const content = createTurnContent();
  content.addThinking(think('One.', { signature: 's1' }));
  content.addThinking(think('', { redacted: 'r1' }));
  content.addThinking(think('Half'));
  content.endAttempt(attempt('error'));
  content.addThinking(think('Two.', { signature: 's2' }));
  content.endAttempt(attempt('ok', 'other'));
  expect(content.blocks).toEqual([
    { type: 'thinking', thinking: 'One.' },
    { type: 'thinking', thinking: 'Half' },
    { type: 'thinking', thinking: 'Two.', signature: 's2', sealedBy: 'p/other' },
  ]);
});
