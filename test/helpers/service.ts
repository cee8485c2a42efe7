import type { AddressInfo } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { createApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { createServices, type Services } from '../../src/services.ts';

export type TestService = {
  url: string;
  services: Services;
  logs: Record<string, unknown>[];
  close(): Promise<void>;
};

/** The real service on a free port of this process; closed when the test ends. `env` is its whole environment. */
export async function startService(
  env: Record<string, string> = {},
  overrides: Partial<Config> = {},
): Promise<TestService> {
  const { config } = loadConfig({ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'debug', ...env });
  const logs: Record<string, unknown>[] = [];
  const logger = pino({ level: config.logLevel }, { write: (line: string) => logs.push(JSON.parse(line)) });
  const services = createServices({ ...config, ...overrides }, logger);
  const app = await createApp(services);
  await app.listen({ port: 0, host: '127.0.0.1' });
  await services.start();
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    app.server.closeAllConnections();
    await app.close();
    await services.close();
  };
  onTestFinished(close);
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, services, logs, close };
}

export type SseEvent = { id: number; event: string; data: Record<string, unknown> };

export type SseStream = {
  response: Response;
  runId: string;
  /** events so far; grows while the stream is read */
  events: SseEvent[];
  comments: string[];
  /** the exact text so far */
  raw: () => string;
  /** resolves with the first event that fits, also one that came already; rejects when the stream ends without it */
  waitFor(predicate: (event: SseEvent) => boolean): Promise<SseEvent>;
  /** resolves with all events when the body ends */
  ended: Promise<SseEvent[]>;
  abort(): void;
};

/** Opens an event stream with fetch and parses it strictly: an id that is not the next one fails. */
export async function openStream(url: string, init: RequestInit = {}): Promise<SseStream> {
  const controller = new AbortController();
  const response = await fetch(url, { ...init, signal: controller.signal });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const events: SseEvent[] = [];
  const comments: string[] = [];
  const waiters: {
    predicate: (event: SseEvent) => boolean;
    resolve: (event: SseEvent) => void;
    reject: (error: Error) => void;
  }[] = [];
  let raw = '';
  const parser = createParser({
    onEvent: (message) => {
      const event = toEvent(message);
      const last = events.at(-1);
      if (last && event.id !== last.id + 1) throw new Error(`event ${event.id} follows ${last.id}`);
      events.push(event);
      for (const waiter of waiters) if (waiter.predicate(event)) waiter.resolve(event);
    },
    onComment: (comment) => comments.push(comment),
    onError: (error) => {
      throw error;
    },
  });
  const ended = (async () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const text = decoder.decode(chunk, { stream: true });
        raw += text;
        parser.feed(text);
      }
    } finally {
      for (const waiter of waiters)
        waiter.reject(new Error(`the stream ended after ${events.length} events`));
    }
    return events;
  })();
  ended.catch(() => {});
  return {
    response,
    runId: response.headers.get('x-run-id') ?? '',
    events,
    comments,
    raw: () => raw,
    ended,
    abort: () => controller.abort(),
    waitFor: (predicate) => {
      const seen = events.find(predicate);
      if (seen) return Promise.resolve(seen);
      return new Promise((resolve, reject) => waiters.push({ predicate, resolve, reject }));
    },
  };
}

function toEvent(message: EventSourceMessage): SseEvent {
  const event = message.event ?? 'message';
  const data =
    event === 'done' ? { done: message.data } : (JSON.parse(message.data) as Record<string, unknown>);
  return { id: Number(message.id), event, data };
}

export const jsonPost = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** Posts a chat and opens its stream. */
export function streamChat(
  service: TestService,
  body: object,
  headers: Record<string, string> = {},
): Promise<SseStream> {
  return openStream(`${service.url}/api/chat/stream`, jsonPost(body, headers));
}

/** The answer's text as the content events give it; what a revision replaced is left out. */
export function contentOf(events: SseEvent[]): string {
  const start = events.findLastIndex((event) => event.event === 'revision') + 1;
  return events
    .slice(start)
    .filter((event) => event.event === 'content')
    .map((event) => event.data.content)
    .join('');
}

/** A service that asks a fake model server, as users set it up. */
export function fakeModelEnv(fakeUrl: string): Record<string, string> {
  return { OPENAI_BASE_URL: fakeUrl, OPENAI_API_KEY: 'sk-test', LLM_MODEL: 'fake-model' };
}
