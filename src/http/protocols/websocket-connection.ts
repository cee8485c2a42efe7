import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { Fault } from '../../core/errors.js';
import type { Run } from '../../runs/run.js';
import { callAt, expiredFault } from '../expiry.js';
import { toErrorFrame } from './websocket-frames.js';
import { createOutlet, type Outlet } from './websocket-outlet.js';

/** The codes with which the service closes a socket; ws itself adds 1002, 1007 and 1009 for what breaks the protocol. */
const closeCodes = { goingAway: 1001, expired: 1008, tooSlow: 1013 } as const;

/** A peer that leaves so many pings unanswered is gone. */
const maxUnanswered = 2;
/** With so much that the peer has not read, no more of its messages are taken. */
const maxUnreadBytes = 256 * 1024;

export type ConnectionOptions = {
  socket: WebSocket;
  wire: Socket;
  requestId: string;
  heartbeatMs: number;
  /** epoch milliseconds at which the peer's credentials end; undefined: they do not */
  endsAt: number | undefined;
  /** Carries out one message. Must not throw. */
  onMessage(bytes: Buffer, isBinary: boolean): Promise<void>;
  onStalled(runId: string): void;
  /** the peer was told that it reads a run no longer, because its credentials have ended */
  onExpired(runId: string): void;
};

export interface Connection {
  readonly outlet: Outlet;
  /** aborts when the socket is closed */
  readonly signal: AbortSignal;
  send(frame: string): void;
  /** Sends what is left of the runs that have ended, and closes; cuts the socket when `signal` aborts before that. */
  finish(signal: AbortSignal): Promise<void>;
}

/** One socket: takes its messages one after the other, follows runs, and finds out when its peer is gone. */
export function createConnection(options: ConnectionOptions): Connection {
  const { socket, wire, requestId } = options;
  const gone = new AbortController();
  const waiting: { bytes: Buffer; isBinary: boolean }[] = [];
  let isBusy = false;
  let isHandling = false;
  let unanswered = 0;
  let isFinishing = false;

  const outlet = createOutlet(socket, wire, {
    onStalled(runId) {
      options.onStalled(runId);
      outlet.close();
      socket.close(closeCodes.tooSlow, 'You read too slowly.');
    },
    onLost: (run, fault) => socket.send(toErrorFrame(fault, requestId, namesOf(run))),
    onLeft: closeWhenFinished,
  });

  function closeWhenFinished(): void {
    if (isFinishing && !outlet.runs.some(({ log }) => log.isEnded)) {
      socket.close(closeCodes.goingAway, 'The service is shutting down.');
    }
  }

  function expire(): void {
    for (const run of outlet.runs) {
      socket.send(toErrorFrame(expiredFault(), requestId, namesOf(run)));
      options.onExpired(run.id);
    }
    socket.close(closeCodes.expired, 'The token has expired.');
    leave();
  }

  async function takeMessages(): Promise<void> {
    isBusy = true;
    for (let next = waiting.shift(); next && socket.readyState === socket.OPEN; next = waiting.shift()) {
      isHandling = true;
      await options.onMessage(next.bytes, next.isBinary);
      isHandling = false;
      while (socket.bufferedAmount > maxUnreadBytes && !gone.signal.aborted) await drained();
    }
    isBusy = false;
    socket.resume();
  }

  async function drained(): Promise<void> {
    await once(wire, 'drain', { signal: gone.signal }).catch(() => {});
  }

  const isAlive = () => {
    unanswered = 0;
  };
  const heartbeat = setInterval(() => {
    // while a message is carried out nothing may be read, not even an answer to a ping
    if (isHandling) return;
    if (unanswered >= maxUnanswered) return socket.terminate();
    unanswered += 1;
    socket.ping();
  }, options.heartbeatMs).unref();

  socket.on('message', (data, isBinary) => {
    waiting.push({ bytes: data as Buffer, isBinary });
    if (isBusy) socket.pause();
    else void takeMessages();
  });
  // a pong, and also a piece of a large message, in the middle of which no pong can come
  wire.on('data', isAlive);
  wire.on('drain', isAlive);
  const callOff = callAt(options.endsAt, expire);
  function leave(): void {
    clearInterval(heartbeat);
    callOff();
    gone.abort(new Fault('cancelled', 'The socket was closed.'));
    outlet.close();
  }
  // a peer that said goodbye reads no more, but may be slow to end its connection
  wire.on('finish', leave);
  socket.on('close', leave);

  const connection: Connection = {
    outlet,
    signal: gone.signal,
    send: (frame) => socket.send(frame),
    async finish(signal) {
      isFinishing = true;
      closeWhenFinished();
      if (!gone.signal.aborted) await once(socket, 'close', { signal }).catch(() => socket.terminate());
    },
  };
  return connection;
}

function namesOf({ id, options }: Run) {
  return { runId: id, ...(options.sessionId === undefined ? {} : { sessionId: options.sessionId }) };
}
