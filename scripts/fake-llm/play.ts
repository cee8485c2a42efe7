import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import type { Exchange } from './exchange.ts';
import { type Faults, faultsOf, type Hold, holdsOf, type ScriptedReply } from './reply.ts';
import type { Step } from './timeline.ts';

/** Carries out the steps on a response. Rejects with the signal's reason when the client leaves. */
export async function play(steps: Iterable<Step>, faults: Faults, exchange: Exchange): Promise<void> {
  const { response, signal } = exchange;
  const isPlain = !faults.crlf && !faults['one-byte'] && !faults['split-utf8'];
  for (const step of steps) {
    if (step.type === 'send') {
      if (!isPlain) await send(step.frame, faults, exchange);
      else if (!response.write(step.frame)) await drained(response, signal);
      continue;
    }
    if (step.type === 'cut') return cut(exchange);
    if (step.type === 'wait') await wait(step.ms, undefined, { signal });
    else if (step.type === 'stall') await aborted(signal);
    else await waitForRelease(step.hold, signal);
  }
  response.end();
}

/** Sends an answer that is not streamed. Faults inside a stream hit the middle of the body. */
export async function playWhole(
  { completion, error }: { completion: object; error: object },
  reply: ScriptedReply,
  exchange: Exchange,
): Promise<void> {
  const { response, signal } = exchange;
  const faults = faultsOf(reply);
  if (reply.firstDelayMs) await wait(reply.firstDelayMs, undefined, { signal });
  for (const hold of holdsOf(reply)) await waitForRelease(hold, signal);
  const body = JSON.stringify(faults.error ? (faults.error.body ?? error) : completion);
  const half = body.slice(0, body.length / 2);
  response.writeHead(200, { 'content-type': faults['content-type']?.value ?? 'application/json' });
  if (faults.malformed || faults.end) {
    response.end(half);
  } else if (faults.stall || faults.cut) {
    response.write(half);
    if (faults.stall) await aborted(signal);
    await cut(exchange);
  } else {
    response.end(body);
  }
}

/** A reader gets the time to take what was sent: fetch drops what it has not handed over when a socket ends. */
async function cut({ destroy, signal }: Exchange): Promise<void> {
  await wait(10, undefined, { signal });
  destroy('close');
}

async function waitForRelease(hold: Hold, signal: AbortSignal): Promise<void> {
  hold.arrive();
  await Promise.race([hold.released, aborted(signal)]);
}

/** Each frame is a chunk of its own, as real servers send them; Node joins those of one tick into one packet. */
async function send(frame: string, faults: Faults, { response, signal }: Exchange): Promise<void> {
  const text = faults.crlf ? frame.replaceAll('\n', '\r\n') : frame;
  for (const piece of pieces(text, faults)) {
    if (!response.write(piece)) await drained(response, signal);
    await nextTurn(undefined, { signal });
  }
}

function pieces(text: string, faults: Faults): Iterable<string | Buffer> {
  if (faults['one-byte']) return splitBytes(Buffer.from(text), () => true);
  if (faults['split-utf8']) return splitBytes(Buffer.from(text), isFirstContinuation);
  return [text];
}

function* splitBytes(
  bytes: Buffer,
  isBoundary: (bytes: Buffer, position: number) => boolean,
): Generator<Buffer> {
  let start = 0;
  for (let position = 1; position < bytes.length; position += 1) {
    if (!isBoundary(bytes, position)) continue;
    yield bytes.subarray(start, position);
    start = position;
  }
  yield bytes.subarray(start);
}

function isFirstContinuation(bytes: Buffer, position: number): boolean {
  return ((bytes[position] ?? 0) & 0xc0) === 0x80 && ((bytes[position - 1] ?? 0) & 0xc0) === 0xc0;
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  const drain = Promise.withResolvers<void>();
  response.once('drain', drain.resolve);
  await Promise.race([drain.promise, aborted(signal)]).finally(() => response.off('drain', drain.resolve));
}

/** Never resolves; rejects when the client has left. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
