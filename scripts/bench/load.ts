import { setTimeout as wait } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';

/** One kind of request, sent over and over. Every answer must hold exactly these deltas and these ends. */
export type LoadJob = {
  id: number;
  origin: string;
  path: string;
  body: string;
  deltasPerAnswer: number;
  /** what marks one delta in the bytes of the answer */
  deltaMark: string;
  /** what a whole answer holds exactly once */
  endMarks: string[];
  concurrency: number;
  /** new requests start until one of the two is reached */
  maxRequests?: number;
  durationMs?: number;
  /** the time over which the first requests are spread */
  rampMs?: number;
};

export type LoadResult = {
  requests: number;
  deltas: number;
  elapsedMs: number;
  /** milliseconds from each request to its first delta */
  firstTokenMs: number[];
};

export type LoadReply = { id: number; result: LoadResult } | { id: number; error: string };

const pools = new Map<string, Pool>();

/** Connections are kept from job to job, as clients keep theirs. */
function poolFor({ origin, concurrency }: LoadJob): Pool {
  const key = `${origin} ${concurrency}`;
  const pool =
    pools.get(key) ??
    new Pool(origin, { connections: concurrency, headersTimeout: 30_000, bodyTimeout: 30_000 });
  pools.set(key, pool);
  return pool;
}

async function run(job: LoadJob): Promise<LoadResult> {
  const pool = poolFor(job);
  const startedAt = performance.now();
  const result: LoadResult = { requests: 0, deltas: 0, elapsedMs: 0, firstTokenMs: [] };
  let left = job.maxRequests ?? Number.POSITIVE_INFINITY;
  const endsAt = startedAt + (job.durationMs ?? Number.POSITIVE_INFINITY);

  const worker = async (_: unknown, number: number) => {
    if (job.rampMs) await wait((job.rampMs * number) / job.concurrency);
    while (left > 0 && performance.now() < endsAt) {
      left -= 1;
      result.firstTokenMs.push(await askOnce(pool, job));
      result.requests += 1;
      result.deltas += job.deltasPerAnswer;
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, worker));
  result.elapsedMs = performance.now() - startedAt;
  return result;
}

/** Resolves to the time to the first delta; rejects unless the whole answer arrived. */
function askOnce(pool: Pool, job: LoadJob): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const startedAt = performance.now();
  const deltas = markCounter(job.deltaMark);
  const ends = job.endMarks.map(markCounter);
  let status = 0;
  let firstTokenMs = -1;
  let start = '';
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onResponseStart(_controller, statusCode) {
      status = statusCode;
    },
    onResponseData(_controller, chunk) {
      if (start.length < 500) start += chunk.toString('utf8', 0, 500);
      deltas.add(chunk);
      if (firstTokenMs < 0 && deltas.count > 0) firstTokenMs = performance.now() - startedAt;
      for (const end of ends) end.add(chunk);
    },
    onResponseEnd() {
      const isWhole = deltas.count === job.deltasPerAnswer && ends.every((end) => end.count === 1);
      if (status === 200 && isWhole) return resolve(firstTokenMs);
      const seen = `${deltas.count} of ${job.deltasPerAnswer} deltas, ends ${ends.map((end) => end.count)}`;
      reject(
        new Error(
          `${job.origin}${job.path} answered ${status} with ${seen}; it began with:\n${start.slice(0, 500)}`,
        ),
      );
    },
    onResponseError(_controller, error) {
      reject(new Error(`${job.origin}${job.path} failed after ${deltas.count} deltas: ${error.message}`));
    },
  };
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
  pool.dispatch({ path: job.path, method: 'POST', headers, body: job.body }, handler);
  return promise;
}

/** Counts a mark in a stream of chunks, also where it spans two of them, without decoding anything. */
function markCounter(text: string) {
  const mark = Buffer.from(text);
  let tail: Buffer = Buffer.alloc(0);
  const counter = {
    count: 0,
    add(chunk: Buffer): void {
      const data = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      let position = data.indexOf(mark);
      let end = 0;
      while (position !== -1) {
        counter.count += 1;
        end = position + mark.length;
        position = data.indexOf(mark, end);
      }
      tail = Buffer.from(data.subarray(Math.max(end, data.length - mark.length + 1)));
    },
  };
  return counter;
}

process.on('message', (job: LoadJob) => {
  const { id } = job;
  run(job).then(
    (result) => process.send?.({ id, result } satisfies LoadReply),
    (error: Error) => process.send?.({ id, error: error.message } satisfies LoadReply),
  );
});
process.on('disconnect', () => process.exit(0));
