import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Response } from 'undici';
import { raceAbort } from '../core/abort.js';
import { Fault, type FieldProblem } from '../core/errors.js';
import { type OutgoingGuard, type Target, toRefusal } from '../outgoing/guard.js';
import { Refusal } from '../outgoing/refusal.js';
import type { FetchBytes } from './text-file.js';

export type FileFetcherOptions = {
  guard: OutgoingGuard;
  /** of one file, and of all files of a request together */
  maxBytes: number;
  /** for one file, from the first byte sent to the last one received */
  timeoutMs: number;
};

/** A file that a request names by its address. `path` is where that stands, such as `files[0].signed_url`. */
export type FileLink = {
  path: string;
  url: string /** what the request says it has */;
  size?: number | undefined;
};

export interface FileFetcher {
  /**
   * Checks the addresses of one request. Returns a problem for each that is refused, or else what fetches each, by its
   * path. The first of these that is called starts all of them, each fetched once from the IP addresses that were
   * checked, some side by side; when one fails, so do all, and its signal ends all. They throw `invalid_file`, which
   * names the path and holds nothing of the address or of what the host said, or what the first one's `onBytes` throws.
   */
  open(
    links: FileLink[],
    signal: AbortSignal,
  ): Promise<{ problems: FieldProblem[] } | { fetches: Map<string, FetchBytes> }>;
}

const mostAtOnce = 4;
const blockBytes = 256 * 1024;
const blocksAtOnce = 16;

/** What the fetches of one request share. */
type Batch = {
  failure: AbortController;
  running: number;
  waiting: Set<() => void>;
  bytesLeft: number;
  onBytes(bytes: number): void;
};

export function createFileFetcher(options: FileFetcherOptions): FileFetcher {
  const { guard, maxBytes, timeoutMs } = options;

  async function fetchInTurn({ path, size }: FileLink, target: Target, batch: Batch, signal: AbortSignal) {
    const both = AbortSignal.any([signal, batch.failure.signal]);
    const leave = await enter(batch, both);
    try {
      const bytes = await fetchOne(target, batch, both);
      if (size === undefined || size === bytes.length) return bytes;
      throw new Refusal(`has ${bytes.length} bytes, but file_size is ${size}`);
    } catch (error) {
      signal.throwIfAborted();
      const fault = error instanceof Refusal ? toFault(path, error) : error;
      batch.failure.abort(fault);
      throw fault;
    } finally {
      leave();
    }
  }

  function toFetches(targets: Map<FileLink, Target>): Map<string, FetchBytes> {
    const batch: Batch = {
      failure: new AbortController(),
      running: 0,
      waiting: new Set(),
      bytesLeft: maxBytes,
      onBytes: () => {},
    };
    const started = new Map<FileLink, Promise<Uint8Array>>();
    const start = (signal: AbortSignal) => {
      for (const [link, target] of targets) {
        const fetching = fetchInTurn(link, target, batch, signal);
        // nobody asks for the others once one has failed
        fetching.catch(() => {});
        started.set(link, fetching);
      }
    };
    const toFetch =
      (link: FileLink): FetchBytes =>
      (onBytes, signal) => {
        if (started.size === 0) {
          batch.onBytes = onBytes;
          start(signal);
        }
        return started.get(link) as Promise<Uint8Array>;
      };
    return new Map([...targets.keys()].map((link) => [link.path, toFetch(link)]));
  }

  async function fetchOne(target: Target, batch: Batch, signal: AbortSignal): Promise<Uint8Array> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const both = AbortSignal.any([signal, timeout]);
    try {
      return await guard.get(target, (response) => readFile(response, maxBytes, batch, both), both);
    } catch (error) {
      signal.throwIfAborted();
      if (!timeout.aborted) throw error;
      throw new Refusal(`did not arrive within ${timeoutMs / 1000} seconds`, { isRetryable: true });
    }
  }

  return {
    async open(links, signal) {
      const results = await Promise.allSettled(
        links.map(async ({ url, size = 0 }) => {
          const target = await guard.check(url, signal);
          if (size > maxBytes) throw new Refusal(`has a file_size of more than ${maxBytes} bytes`);
          return target;
        }),
      );
      signal.throwIfAborted();
      const problems: FieldProblem[] = [];
      const targets = new Map<FileLink, Target>();
      for (const [index, result] of results.entries()) {
        const link = links[index] as FileLink;
        if (result.status === 'fulfilled') {
          targets.set(link, result.value);
        } else {
          if (!(result.reason instanceof Refusal)) throw result.reason;
          problems.push({ path: link.path, message: result.reason.message });
        }
      }
      return problems.length > 0 ? { problems } : { fetches: toFetches(targets) };
    },
  };
}

/** Waits for a place among the fetches of the request; the returned function gives it back. */
async function enter(batch: Batch, signal: AbortSignal): Promise<() => void> {
  signal.throwIfAborted();
  if (batch.running < mostAtOnce) {
    batch.running += 1;
  } else {
    const { promise, resolve } = Promise.withResolvers<void>();
    batch.waiting.add(resolve);
    await raceAbort(promise, signal).finally(() => batch.waiting.delete(resolve));
  }
  return () => {
    const [next] = batch.waiting;
    if (!next) {
      batch.running -= 1;
      return;
    }
    batch.waiting.delete(next);
    next();
  };
}

async function readFile(
  response: Response,
  maxBytes: number,
  batch: Batch,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { status } = response;
  if (status !== 200) {
    throw new Refusal(`was answered with status ${status}`, {
      isRetryable: status === 429 || status >= 500,
    });
  }
  // of an encoded body the header says the encoded size
  const isPlain = !response.headers.has('content-encoding');
  const declared = isPlain ? Number(response.headers.get('content-length')) : 0;
  checkSize(declared, declared, maxBytes, batch);
  const blocks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      checkSize(size + chunk.length, chunk.length, maxBytes, batch);
      batch.bytesLeft -= chunk.length;
      batch.onBytes(chunk.length);
      size = append(blocks, size, chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Refusal || error instanceof Fault ? error : toRefusal(error);
  }
  return join(blocks, size, signal);
}

function checkSize(size: number, newBytes: number, maxBytes: number, { bytesLeft }: Batch): void {
  if (size > maxBytes) throw new Refusal(`has more than ${maxBytes} bytes`);
  if (newBytes > bytesLeft) {
    throw new Refusal(`makes the files have more than ${maxBytes} bytes together`);
  }
}

/** Copies, because a host that sends single bytes would make the chunks take a hundred times the room of the file. */
function append(blocks: Uint8Array[], size: number, chunk: Uint8Array): number {
  let taken = 0;
  while (taken < chunk.length) {
    const filled = (size + taken) % blockBytes;
    if (filled === 0) blocks.push(new Uint8Array(blockBytes));
    const part = chunk.subarray(taken, taken + blockBytes - filled);
    blocks.at(-1)?.set(part, filled);
    taken += part.length;
  }
  return size + taken;
}

/** Step by step, because copying a large file at once would hold up the others' streams. */
async function join(blocks: Uint8Array[], size: number, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (const [index, block] of blocks.entries()) {
    const start = index * blockBytes;
    bytes.set(block.subarray(0, size - start), start);
    if (index % blocksAtOnce === blocksAtOnce - 1) await nextTurn(undefined, { signal });
  }
  return bytes;
}

function toFault(path: string, { message, isRetryable, cause }: Refusal): Fault {
  return new Fault('invalid_file', `${path} ${message}.`, {
    problems: [{ path, message }],
    retryable: isRetryable,
    cause,
  });
}
