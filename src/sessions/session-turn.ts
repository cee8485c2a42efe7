import type { PipelineEvent } from '../core/events.js';
import type { Message, UserMessage } from '../core/message.js';
import { type HistoryItem, historyOf } from './history.js';
import { createRecorder } from './recorder.js';
import type { Addition, SessionManager } from './session-manager.js';
import type { Owner } from './session-store.js';
import type { Claim } from './turns.js';

export type SessionTurn = {
  sessions: SessionManager;
  owner: Owner;
  sessionId: string;
  claim: Claim;
  /** what the caller said, as it is kept */
  message: UserMessage;
};

/** A summary that stands for the first `covered` messages of the history. */
type Compacted = { compaction?: { summary: string; covered: number } };

type Work<T> = (history: Message[]) => AsyncGenerator<PipelineEvent, T, undefined>;

/** Time that a run which is over, maybe cancelled, has for writing what was said. */
const saveTimeoutMs = 10_000;

/**
 * Carries a run out as the one writer of its session: waits for its turn, gives the work the history, and stores the
 * message with what the run said and did before it returns; also when the work throws after something was said, as far as
 * it came. What cannot be stored makes the run fail. The claim is released in any case.
 */
export async function* runInSession<T extends Compacted>(
  turn: SessionTurn,
  work: Work<T>,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, T, undefined> {
  const { sessions, owner, sessionId, claim } = turn;
  const recorder = createRecorder();
  const askedAt = Date.now();
  try {
    await claim.ready(signal);
    const { entries } = await sessions.read(owner, sessionId, signal);
    await sessions.store.checkWritable(signal);
    const history = historyOf(entries);
    let isInterrupted = true;
    let result: T | undefined;
    const steps = work(history.map(({ message }) => message));
    try {
      let step = await steps.next();
      while (!step.done) {
        recorder.accept(step.value);
        yield step.value;
        step = await steps.next();
      }
      result = step.value;
      isInterrupted = false;
    } finally {
      // who reads no further ends the work too
      await steps.return(undefined as never);
      const { messages, hasContent } = recorder.finish(isInterrupted);
      if (hasContent || !isInterrupted) {
        const addition = toAddition(messages, isInterrupted, compactionOf(history, result));
        addition.messages.unshift({ message: turn.message, at: askedAt });
        await sessions.append(owner, sessionId, addition, AbortSignal.timeout(saveTimeoutMs));
      }
    }
    return result;
  } finally {
    claim.release();
  }
}

function toAddition(
  messages: Message[],
  isInterrupted: boolean,
  compaction: Addition['compaction'],
): Addition {
  const added = messages.map((message, index) => ({
    message,
    isInterrupted: isInterrupted && index === messages.length - 1,
  }));
  return { messages: added, compaction };
}

function compactionOf(history: HistoryItem[], result: Compacted | undefined): Addition['compaction'] {
  if (!result?.compaction) return undefined;
  const { summary, covered } = result.compaction;
  const through = history[covered - 1]?.through;
  return through ? { summary, through } : undefined;
}
