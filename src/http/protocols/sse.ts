import { Readable } from 'node:stream';
import type { Fault } from '../../core/errors.js';
import type { RunEvent } from '../../core/events.js';
import type { Run } from '../../runs/run.js';
import type { LogEntry, LogReader } from '../../runs/run-log.js';
import { callAt, expiredFault } from '../expiry.js';
import { toCompletePayload, toErrorPayload, toRefusalPayload, toThinkingPayload } from './payloads.js';

export const sseHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const;

export type SseOptions = {
  /** milliseconds of silence after which a comment is sent */
  heartbeatMs: number;
  /** of the reader, who is told it with what concerns no event of the run */
  requestId: string;
  /** epoch milliseconds at which the reader may read no longer; undefined: as long as the run lasts */
  endsAt: number | undefined;
  onClose: (reason: 'ended' | 'left' | 'stalled' | 'expired') => void;
};

/** Frames are joined up to about this size before they are written. */
const batchBytes = 16 * 1024;
/** A reader that takes nothing for so many heartbeats is gone. */
const maxStalledHeartbeats = 4;

/** Tails a run's log from after `after` as server-sent events, and ends when the log does. */
export function createSseStream(run: Run, after: number, options: SseOptions): Readable {
  let isWanted = false;
  let hasEnded = false;
  let isStalled = false;
  let isExpired = false;
  let lastWriteMs = performance.now();
  let stalledHeartbeats = 0;

  const reader: LogReader = run.log.open(after, {
    onReadable: () => {
      if (isWanted) pull();
    },
    onDropped: (reason) => {
      isStalled = reason === 'stalled';
      stream.destroy();
    },
  });
  const detach = run.attach();

  const stream = new Readable({
    highWaterMark: batchBytes,
    read() {
      isWanted = true;
      stalledHeartbeats = 0;
      pull();
    },
    destroy(error, callback) {
      clearTimeout(heartbeat);
      callOff();
      reader.close();
      detach();
      options.onClose(isStalled ? 'stalled' : isExpired ? 'expired' : hasEnded ? 'ended' : 'left');
      callback(error);
    },
  });

  function write(frames: string): void {
    lastWriteMs = performance.now();
    isWanted = stream.push(frames);
  }

  function pull(): void {
    const entries = reader.take(batchBytes);
    if (entries.length === 0) return;
    let frames = '';
    for (const entry of entries) frames += frameOf(entry);
    write(frames);
    if (entries.at(-1)?.event.type === 'run-done') {
      hasEnded = true;
      reader.close();
      stream.push(null);
    }
  }

  /** The run goes on, or not, as it does whenever a reader leaves. */
  function expire(): void {
    if (hasEnded) return;
    hasEnded = true;
    isExpired = true;
    reader.close();
    write(toClosingFrames(run.id, options.requestId, expiredFault()));
    stream.push(null);
    detach();
  }

  function beat(): void {
    const silentMs = performance.now() - lastWriteMs;
    if (silentMs < options.heartbeatMs - 5) {
      heartbeat = setTimeout(beat, options.heartbeatMs - silentMs);
      return;
    }
    if (isWanted && !hasEnded) {
      write(': ping\n\n');
    } else {
      stalledHeartbeats += 1;
      if (stalledHeartbeats >= maxStalledHeartbeats) {
        isStalled = true;
        stream.destroy();
        return;
      }
    }
    heartbeat = setTimeout(beat, options.heartbeatMs);
  }

  let heartbeat = setTimeout(beat, options.heartbeatMs);
  const callOff = callAt(options.endsAt, expire);
  stream.push(': connected\n\n');
  return stream;
}

/** Frames are made once for all readers; those of deltas are cheap, and kept they would double the log's memory. */
function frameOf(entry: LogEntry): string {
  if (entry.event.type === 'text-delta') return toFrame(entry);
  entry.frame ??= toFrame(entry);
  return entry.frame;
}

function toFrame({ seq, at, event }: LogEntry): string {
  if (event.type === 'text-delta') {
    return `id: ${seq}\nevent: content\ndata: {"content":${JSON.stringify(event.text)},"revision":${event.revision},"timestamp":${at}}\n\n`;
  }
  if (event.type === 'run-done') return `id: ${seq}\nevent: done\ndata: [DONE]\n\n`;
  const [name, payload] = toWire(event);
  return `id: ${seq}\nevent: ${name}\ndata: ${JSON.stringify({ ...payload, timestamp: at })}\n\n`;
}

/** The end of one reader's stream that is not the run's: without numbers, so that the last one seen stays the last one. */
function toClosingFrames(runId: string, requestId: string, fault: Fault): string {
  const payload = { ...toRefusalPayload(fault, requestId), run_id: runId, timestamp: Date.now() / 1000 };
  return `event: error\ndata: ${JSON.stringify(payload)}\n\nevent: done\ndata: [DONE]\n\n`;
}

function toWire(event: Exclude<RunEvent, { type: 'text-delta' | 'run-done' }>): [string, object] {
  switch (event.type) {
    case 'phase-end':
      return ['thinking', toThinkingPayload(event)];
    case 'reasoning-delta':
      return ['reasoning', toReasoning(event)];
    case 'tool-start':
      return ['tool_call', { id: event.id, name: event.name, arguments: event.arguments }];
    case 'tool-progress': {
      const { type: _, ...progress } = event;
      return ['tool_progress', progress];
    }
    case 'tool-end':
      return [
        'tool_result',
        {
          id: event.id,
          name: event.name,
          result: event.result,
          is_error: event.isError,
          duration_ms: Math.round(event.durationMs),
        },
      ];
    case 'revision-start':
      return ['revision', { revision: event.revision, reason: event.reason }];
    case 'run-complete':
      return ['complete', toCompletePayload(event)];
    case 'run-error':
      return ['error', toErrorPayload(event)];
    default:
      return event satisfies never;
  }
}

/** The seals are for agents whose loop is elsewhere: they send them back with the thinking. */
function toReasoning({ text, signature, redacted }: Extract<RunEvent, { type: 'reasoning-delta' }>) {
  return {
    content: text,
    ...(signature === undefined ? {} : { signature }),
    ...(redacted === undefined ? {} : { redacted }),
  };
}
