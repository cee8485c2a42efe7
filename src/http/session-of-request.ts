import type { Caller } from '../core/caller.js';
import type { PipelineEvent } from '../core/events.js';
import type { Message, TextContent, UserMessage } from '../core/message.js';
import type { PipelineResult } from '../pipeline/run-pipeline.js';
import type { Run } from '../runs/run.js';
import type { Services } from '../services.js';
import { runInSession } from '../sessions/session-turn.js';
import type { ChatBody } from './schemas/chat.js';

/** What carries a run out. */
export type Steps = AsyncGenerator<PipelineEvent, PipelineResult, undefined>;

/** A run's place in its session. */
export type SessionPlace = {
  carryOut(run: Run, work: (history: Message[]) => Steps): Steps;
  /** To be called once the run is there: its place is given up at its end, however it ends. */
  follow(run: Run): void;
};

type Seat = {
  sessionId: string;
  body: ChatBody;
  /** the session is made when nobody has it, and begins with this */
  made: { history: Message[] } | undefined;
};

/** Takes the run's place in its session. Throws `conflict` when the session is busy. */
export function takePlace(services: Services, caller: Caller, seat: Seat): SessionPlace {
  const { sessionId, body, made } = seat;
  const { sessions } = services;
  let run: Run | undefined;
  const claim = sessions.claim(caller, sessionId, (fault) => run?.cancel(fault));
  return {
    async *carryOut({ signal }, work) {
      if (made) {
        await sessions.getOrCreate(caller, sessionId, signal);
        const messages = made.history.map((message) => ({ message }));
        if (messages.length > 0) await sessions.append(caller, sessionId, { messages }, signal);
      }
      const turn = { sessions, owner: caller, sessionId, claim, message: toStored(body) };
      return yield* runInSession(turn, work, signal);
    },
    follow(started) {
      run = started;
      // a run that is cancelled before its first step never gets to do so itself
      void started.ended.then(() => claim.release());
    },
  };
}

/** The caller's message as it is kept: files by name only. */
function toStored({ message, files = [], images = [] }: ChatBody): UserMessage {
  const names = files.map((file) => file.file_name ?? file.path).join(', ');
  const note: TextContent[] =
    files.length === 0 ? [] : [{ type: 'text', text: `\n\n[Attached files: ${names}]` }];
  if (note.length + images.length === 0) return { role: 'user', content: message };
  return {
    role: 'user',
    content: [
      { type: 'text', text: message },
      ...note,
      ...images.map(({ data, mime_type }) => ({ type: 'image' as const, data, mimeType: mime_type })),
    ],
  };
}
