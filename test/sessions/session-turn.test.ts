import { describe, expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/core/events.ts';
import type { Message } from '../../src/core/message.ts';
import { messagesOf } from '../../src/sessions/history.ts';
import { createRecorder } from '../../src/sessions/recorder.ts';
import { SessionManager } from '../../src/sessions/session-manager.ts';
import { runInSession } from '../../src/sessions/session-turn.ts';

const { signal } = new AbortController();
const owner = { tenant: 'one', subject: 'ada' };
const user = (content: string): Message => ({ role: 'user', content });
const text = (value: string): PipelineEvent => ({ type: 'text-delta', text: value });
const start = (id: string, args: unknown = {}): PipelineEvent => ({
  type: 'tool-start',
  id,
  name: 'add',
  arguments: args,
});
const end = (id: string, result = 'ok'): PipelineEvent => ({
  type: 'tool-end',
  id,
  name: 'add',
  result,
  isError: false,
  durationMs: 1,
});
const heard = (content: string): PipelineEvent => ({
  type: 'message-end',
  message: { role: 'user', content },
});

/** What is recorded of these events, one line for each message. */
function recorded(events: PipelineEvent[], isInterrupted = false): string[] {
  const recorder = createRecorder();
  for (const event of events) recorder.accept(event);
  return recorder.finish(isInterrupted).messages.map((message) => {
    const blocks = typeof message.content === 'string' ? [message.content] : message.content;
    const parts = blocks.map((block) => {
      if (typeof block === 'string') return block;
      if (block.type === 'toolCall')
        return `${block.id}(${block.argumentsText ?? JSON.stringify(block.arguments)})`;
      return block.type === 'text' ? block.text : block.type;
    });
    return `${message.role}: ${parts.join(' + ')}`;
  });
}

describe('a recording', () => {
  test('has a message for each turn, with the results of its calls', () => {
    expect(
      recorded([
        text('Let '),
        text('me.'),
        start('a'),
        start('b'),
        end('a'),
        end('b'),
        text('\n\n'),
        text('Done.'),
      ]),
    ).toEqual(['assistant: Let me. + a({}) + b({})', 'toolResult: ok', 'toolResult: ok', 'assistant: Done.']);
  });

  test('keeps calls apart that ran one after the other, and ones that share an id', () => {
    expect(recorded([start('a'), end('a', '1'), start('b'), end('b', '2')])).toEqual([
      'assistant: a({})',
      'toolResult: 1',
      'assistant: b({})',
      'toolResult: 2',
    ]);
    expect(recorded([start('a'), start('a'), end('a', '1'), end('a', '2')])).toEqual([
      'assistant: a({}) + a({})',
      'toolResult: 1',
      'toolResult: 2',
    ]);
  });

  test('keeps arguments that are no object as they were written', () => {
    expect(recorded([start('a', '{"x":'), end('a')])[0]).toBe('assistant: a({"x":)');
    expect(recorded([start('a', [1]), end('a')])[0]).toBe('assistant: a([1])');
  });

  test('has the text that a revision put in place of the first one, and what tools did', () => {
    const revision: PipelineEvent = { type: 'revision-start', revision: 1, reason: 'r' };
    expect(recorded([text('Hm.'), start('a'), end('a'), text('Bad.'), revision, text('Good.')])).toEqual([
      'assistant: a({})',
      'toolResult: ok',
      'assistant: Good.',
    ]);
    expect(recorded([text('Bad.'), revision, text('Good.')])).toEqual(['assistant: Good.']);
  });

  test('has what the caller said on the way, where it was heard', () => {
    expect(recorded([text('One.'), heard('Stop.'), text('Fine.')])).toEqual([
      'assistant: One.',
      'user: Stop.',
      'assistant: Fine.',
    ]);
    expect(recorded([start('a'), end('a'), heard('Stop.')], true)).toEqual([
      'assistant: a({})',
      'toolResult: ok',
      'user: Stop.',
      'assistant: ',
    ]);
  });

  test('of an interrupted run ends with the model, each call answered', () => {
    const note = 'Not finished: the run was interrupted before this tool had a result.';
    expect(recorded([text('Ha'), start('a')], true)).toEqual([
      'assistant: Ha + a({})',
      `toolResult: ${note}`,
      'assistant: ',
    ]);
    expect(recorded([text('Ha')], true)).toEqual(['assistant: Ha']);
    expect(recorded([text(' ')], true)).toEqual([]);
  });
});

describe('a turn in a session', () => {
  async function createWorld() {
    const sessions = new SessionManager();
    const { id } = await sessions.create(owner, {}, signal);
    const histories: Message[][] = [];
    const turn = (message: string) => ({
      sessions,
      owner,
      sessionId: id,
      claim: sessions.claim(owner, id, () => {}),
      message: { role: 'user' as const, content: message },
    });
    const run = async (
      message: string,
      events: PipelineEvent[],
      compaction?: { summary: string; covered: number },
    ) => {
      const steps = runInSession(
        turn(message),
        async function* (history) {
          histories.push(history);
          yield* events;
          return compaction ? { compaction } : {};
        },
        signal,
      );
      for await (const _event of steps);
    };
    const stored = async () => (await sessions.read(owner, id, signal)).entries;
    return { sessions, id, histories, turn, run, stored };
  }

  test('gives the next one a history that starts from the summary', async () => {
    const { histories, run, stored } = await createWorld();
    await run('One?', [text('One.')]);
    await run('Two?', [text('Two.')]);
    await run('Three?', [text('Three.')], { summary: 'What one was.', covered: 2 });
    await run('Four?', [text('Four.')], { summary: 'What one and two were.', covered: 3 });
    await run('Five?', []);
    const say = (value: string): Message => ({ role: 'assistant', content: [{ type: 'text', text: value }] });
    expect(histories[2]).toEqual([user('One?'), say('One.'), user('Two?'), say('Two.')]);
    expect(histories[3]).toEqual([
      user('What one was.'),
      user('Two?'),
      say('Two.'),
      user('Three?'),
      say('Three.'),
    ]);
    expect(histories[4]).toEqual([
      user('What one and two were.'),
      user('Three?'),
      say('Three.'),
      user('Four?'),
      say('Four.'),
    ]);
    expect(messagesOf(await stored())).toHaveLength(9);
  });

  test('that nobody reads to its end is stored as interrupted and ends the work', async () => {
    const { sessions, id, turn, stored } = await createWorld();
    let hasEnded = false;
    const steps = runInSession(
      turn('Hi.'),
      async function* () {
        try {
          yield text('Half');
          yield text(' more');
          return {};
        } finally {
          hasEnded = true;
        }
      },
      signal,
    );
    for await (const _event of steps) break;
    expect([hasEnded, sessions.isProcessing(owner, id)]).toEqual([true, false]);
    expect(messagesOf(await stored())).toMatchObject([
      { message: user('Hi.') },
      { message: { role: 'assistant', content: [{ text: 'Half' }] }, isInterrupted: true },
    ]);
  });

  test('ends with the fault of the store when it cannot be stored, and the claim is free', async () => {
    const { sessions, id, run } = await createWorld();
    const { update } = sessions.store;
    sessions.store.update = async () => {
      throw new Error('full');
    };
    await expect(run('Hi.', [text('Hello.')])).rejects.toThrow('full');
    sessions.store.update = update;
    expect(sessions.isProcessing(owner, id)).toBe(false);
  });
});
