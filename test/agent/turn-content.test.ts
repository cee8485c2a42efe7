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
  const said = { text: '' };
  const content = createTurnContent(said);
  content.addThinking(think('One '));
  content.addThinking(think('two.'));
  content.addThinking(think('', { signature: 's1' }));
  said.text += 'So ';
  said.text += 'far.';
  content.addThinking(think('', { redacted: 'r1' }));
  content.addThinking(think('Three.'));
  said.text += 'And so on.';
  content.endAttempt(attempt('ok'));
  said.text += ' Done.';
  expect(content.blocks).toEqual([
    { type: 'thinking', thinking: 'One two.', signature: 's1', sealedBy: 'p/m' },
    { type: 'text', text: 'So far.' },
    { type: 'thinking', thinking: '', redacted: 'r1', sealedBy: 'p/m' },
    { type: 'thinking', thinking: 'Three.' },
    { type: 'text', text: 'And so on. Done.' },
  ]);
});

test('a call that failed leaves its thinking without seals, and nothing joins it', () => {
  const content = createTurnContent({ text: '' });
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
