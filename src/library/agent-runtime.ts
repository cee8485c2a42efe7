import { raceAbort } from '../core/abort.js';
import { Fault, toFault } from '../core/errors.js';
import type { RunSummary } from '../core/events.js';
import type { Query } from '../http/start-query.js';
import type { Run } from '../runs/run.js';
import { type AgentParts, openServices } from './agent-config.js';
import type { QueryMessage } from './query-message.js';
import { readRun } from './read-run.js';

export type AgentRuntimeOptions = AgentParts;

/** What a chat request may hold beside its message and its session, and a signal that cancels. */
export type QueryOptions = Omit<Query, 'prompt' | 'sessionId' | 'on_disconnect'> & { signal?: AbortSignal };

/** A whole answer. */
export type QueryResult = { response: string; sessionId: string; runId: string } & RunSummary;

type Opened = Awaited<ReturnType<typeof open>>;
type Asked = { prompt: string; sessionId: string | undefined; options: QueryOptions; isStream: boolean };

/** How long the first query waits for MCP servers that do not answer. */
const serversTimeoutMs = 10_000;

/**
 * Agents inside a program, without HTTP: every query goes through the service's own four phases, tools and sessions. It
 * writes no log.
 */
export class AgentRuntime {
  private opened: Promise<Opened> | undefined;

  constructor(private readonly options: AgentRuntimeOptions = {}) {}

  /**
   * Answers a prompt, in the session of this id, which is made when nobody has it; without an id in a new one. Starts when it
   * is first read, and never throws: what goes wrong is the last message. Who stops reading cancels the run.
   */
  query(
    prompt: string,
    sessionId?: string,
    options: QueryOptions = {},
  ): AsyncGenerator<QueryMessage, void, undefined> {
    const left = new AbortController();
    const messages = this.stream({ prompt, sessionId, options, isStream: true }, left.signal);
    const end = messages.return.bind(messages);
    // a generator that waits for its next event hears of its end only after it
    messages.return = (value) => {
      left.abort(new Fault('cancelled', 'The run was cancelled because its last reader left.'));
      return end(value);
    };
    return messages;
  }

  /** The whole answer, which may have been revised. Rejects when there is none; when the signal aborts, with its reason. */
  async querySync(prompt: string, sessionId?: string, options: QueryOptions = {}): Promise<QueryResult> {
    const { signal = new AbortController().signal } = options;
    const { run } = await this.start({ prompt, sessionId, options, isStream: false }, signal);
    const outcome = await endOf(run, signal);
    if (outcome.status !== 'completed') {
      signal.throwIfAborted();
      throw outcome.fault;
    }
    const { answer, complete } = outcome;
    return { response: answer, sessionId: sessionOf(run), runId: run.id, ...complete.summary };
  }

  /** Cancels what is under way and closes what was opened; what was given to the runtime stays open. */
  async close(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    const { services } = (await opened?.catch(() => undefined)) ?? {};
    await services?.runs.drain(0);
    await services?.close();
  }

  private async *stream(query: Asked, left: AbortSignal): AsyncGenerator<QueryMessage, void, undefined> {
    const { signal } = query.options;
    const either = signal ? AbortSignal.any([signal, left]) : left;
    let started: Run | undefined;
    try {
      const { run, toRunMessage } = await this.start(query, either);
      started = run;
      for await (const entry of readRun(run, either)) {
        const message = toRunMessage(entry, run);
        if (message) yield message as QueryMessage;
      }
    } catch (error) {
      const { message, type, retryable, retryAfterSeconds } = described(error, either);
      yield {
        type: 'error',
        ...namesOf(query, started),
        error: message,
        error_type: type,
        retryable,
        ...(retryAfterSeconds === undefined ? {} : { retry_after: retryAfterSeconds }),
      };
    } finally {
      started?.cancel(new Fault('cancelled', 'The run was cancelled because its last reader left.'));
      // what was said so far is in the session then, which takes the next query
      await started?.ended;
    }
  }

  private async start({ prompt, sessionId, options, isStream }: Asked, signal: AbortSignal) {
    signal.throwIfAborted();
    this.opened ??= open(this.options);
    const { opened } = this;
    opened.catch(() => {
      if (this.opened === opened) this.opened = undefined;
    });
    const { startQuery, toRunMessage } = await raceAbort(opened, signal);
    const { signal: _, ...fields } = options;
    const query = { ...fields, prompt, ...(sessionId === undefined ? {} : { sessionId }) };
    return { run: await startQuery(query, isStream, signal), toRunMessage };
  }
}

async function open(parts: AgentParts) {
  const { createQueryStarter } = await import('../http/start-query.js');
  const { toRunMessage } = await import('../http/protocols/websocket-frames.js');
  const { services } = await openServices(parts, ({ runLogBytes }) => ({
    logLevel: 'silent',
    // the reader is in this process: it may be as far behind as the log reaches
    readerLagBytes: runLogBytes,
  }));
  try {
    await services.open();
    // a server that is down costs its own tools only, as in the service
    await services.mcp.tried(AbortSignal.timeout(serversTimeoutMs)).catch(() => {});
  } catch (error) {
    await services.close();
    throw error;
  }
  return { services, startQuery: createQueryStarter(services), toRunMessage };
}

/** The end of a run, which the signal brings about early. */
async function endOf(run: Run, signal: AbortSignal) {
  const cancel = () => run.cancel(new Fault('cancelled', 'The query was cancelled.'));
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const outcome = await run.ended;
  signal.removeEventListener('abort', cancel);
  return outcome;
}

/** The ids that are known when something goes wrong. */
function namesOf({ sessionId }: Asked, run: Run | undefined) {
  if (run) return { sessionId: sessionOf(run), runId: run.id };
  return sessionId === undefined ? {} : { sessionId };
}

const sessionOf = ({ options }: Run) => options.sessionId as string;

/** A wrong setting is told in its own words. */
function described(error: unknown, signal: AbortSignal): Fault {
  if (error instanceof Fault) return error;
  const { name, message } = (error ?? {}) as Partial<Error>;
  if (name === 'ConfigError') return new Fault('invalid_request', String(message));
  return signal.aborted ? new Fault('cancelled', 'The query was cancelled.') : toFault(error);
}
