import type { Caller } from '../../core/caller.js';
import { Fault } from '../../core/errors.js';
import type { TraceContext } from '../../core/trace.js';
import type { Services } from '../../services.js';
import { invalidRequest } from '../plugins/errors.js';
import { maxMessageBytes } from '../schemas/chat.js';
import type { QueryFrame, RequestFrame } from '../schemas/websocket.js';
import { checkHeld } from '../send-events.js';
import { startRun } from '../start-run.js';
import type { Connection } from './websocket-connection.js';
import { toClearedFrame } from './websocket-frames.js';
import { inQueryTerms, toChatBody } from './websocket-requests.js';

/** Runs that one socket follows at once. */
const maxRuns = 16;
/** Messages to a run that no model has heard yet. */
const maxUnheard = 16;

/** Who sits at the other end of a socket. */
export type Peer = {
  caller: Caller;
  requestId: string;
  trace: TraceContext | undefined;
  connection: Connection;
};

type FrameOf<Type> = Extract<RequestFrame, { type: Type }>;

/** Does what a peer asks for. Throws a Fault for what cannot be done. */
export async function carryOut(services: Services, peer: Peer, frame: RequestFrame): Promise<void> {
  switch (frame.type) {
    case 'query':
      return query(services, peer, frame);
    case 'cancel':
      return cancel(services, peer, frame);
    case 'clear':
      return clear(services, peer, frame);
    case 'resume':
      return resume(services, peer, frame);
    case 'steer':
      return steer(services, peer, frame);
    default:
      frame satisfies never;
  }
}

async function query(services: Services, peer: Peer, frame: QueryFrame): Promise<void> {
  const { caller, requestId, trace, connection } = peer;
  checkRoom(connection);
  const body = toChatBody(frame);
  const call = {
    caller,
    requestId,
    trace,
    body,
    idempotencyKey: undefined,
    isStream: true,
    makesSession: true,
  };
  try {
    connection.outlet.follow(await startRun(services, call, connection.signal), 0);
  } catch (error) {
    throw inQueryTerms(error);
  }
}

function cancel({ runs }: Services, { caller, connection }: Peer, { runId }: FrameOf<'cancel'>): void {
  const run =
    runId === undefined
      ? connection.outlet.runs.findLast(({ status }) => status === 'running')
      : runs.find(runId, caller);
  if (!run) throw new Fault('not_found', 'No run is under way on this socket.');
  run.cancel();
}

async function clear({ sessions }: Services, peer: Peer, { sessionId }: FrameOf<'clear'>): Promise<void> {
  const { caller, connection } = peer;
  await sessions.clear(caller, sessionId, connection.signal);
  connection.send(toClearedFrame(sessionId));
}

function resume({ runs }: Services, { caller, connection }: Peer, { runId, after }: FrameOf<'resume'>): void {
  const run = runs.find(runId, caller);
  const { lastSeq, isEnded } = run.log;
  if (after > lastSeq) {
    throw invalidRequest([{ path: 'after', message: `is beyond the newest event, ${lastSeq}` }]);
  }
  checkHeld(run, after);
  if (!connection.outlet.runs.includes(run)) checkRoom(connection);
  if (!isEnded || after < lastSeq) connection.outlet.follow(run, after);
}

function steer({ runs }: Services, { caller }: Peer, { runId, content }: FrameOf<'steer'>): void {
  if (Buffer.byteLength(content) > maxMessageBytes) {
    throw invalidRequest([{ path: 'content', message: 'must have at most 1 MiB' }]);
  }
  const run = runs.find(runId, caller);
  if (run.steering.size >= maxUnheard) {
    throw new Fault('overloaded', `${maxUnheard} messages wait for this run already; try again later.`);
  }
  if (!run.steer(content)) throw new Fault('conflict', 'The run has its answer; ask again with a query.');
}

function checkRoom({ outlet }: Connection): void {
  if (outlet.runs.length < maxRuns) return;
  throw new Fault(
    'overloaded',
    `This socket follows ${maxRuns} runs already; wait for one, or open another.`,
  );
}
