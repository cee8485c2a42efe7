import { createHash, createHmac, randomUUID } from 'node:crypto';
import { type ClientOptions, WebSocket } from 'ws';
import { type Answer, readAnswer } from '../helpers/contract.ts';
import type { Canaries } from './canaries.ts';
import type { Outputs } from './outputs.ts';
import type { Sink } from './places.ts';

export type Client = {
  /** Sends a request and keeps what is answered. `operation` is the route that it is for. */
  send(operation: string, path: string, init?: RequestInit): Promise<Answer>;
  /** The same for an answer that comes bit by bit, which the caller reads; `text` is what came so far. */
  open(operation: string, path: string, init?: RequestInit): Promise<OpenAnswer>;
  openSocket(protocols?: string[], options?: ClientOptions): Promise<OpenSocket>;
};

export type OpenAnswer = {
  status: number;
  runId: string;
  text(): string;
  until(pattern: RegExp): Promise<void>;
  ended: Promise<void>;
  abort(): void;
};

export type OpenSocket = {
  frames: Record<string, string>[];
  send(message: object | string): void;
  until(...types: string[]): Promise<Record<string, string>>;
  close(): void;
};

export type ClientParts = {
  url: string;
  canaries: Canaries;
  outputs: Outputs;
  /** operations and the statuses they answered */
  driven: Map<string, Set<number>>;
  /** error types that were answered */
  errors: Set<string>;
};

/** Where answers belong: those to the caller whose texts they are, or others. */
type Sinks = { answers: Sink; problems: Sink };

export const ownSinks: Sinks = { answers: 'own answers', problems: 'own problems' };
export const othersSinks: Sinks = { answers: "others' answers", problems: "others' answers" };
export const refusedSinks: Sinks = { answers: 'refusals', problems: 'refusals' };

/** Routes that tell everybody the same. */
const sharedSinks: Record<string, Sink> = {
  getMetrics: 'metrics',
  getHealth: 'health',
  getLiveness: 'health',
  getReadiness: 'health',
  getStatus: 'catalogue',
  listModels: 'catalogue',
  listProviders: 'catalogue',
  listMcpServers: 'catalogue',
  listWorkers: 'catalogue',
  getOpenApi: 'catalogue',
};

/** A caller whose every request carries these headers, made anew for each. */
export function createClient(
  { url, outputs, driven, errors }: ClientParts,
  sinks: Sinks,
  headersOf: (method: string, path: string, body: string) => Record<string, string>,
): Client {
  function note(operation: string, status: number): void {
    const statuses = driven.get(operation) ?? new Set();
    driven.set(operation, statuses.add(status));
  }

  function keep(operation: string, { status, type, headers, text }: Answer): void {
    note(operation, status);
    const shared = status < 400 || status === 503 ? sharedSinks[operation] : undefined;
    outputs.add(status < 400 ? sinks.answers : sinks.problems, JSON.stringify([...headers]));
    if (type === 'text/event-stream') {
      keepEvents(text);
      return;
    }
    outputs.add(shared ?? (status < 400 ? sinks.answers : sinks.problems), text);
    noteErrors(text, errors);
  }

  function keepEvents(text: string): void {
    for (const event of text.split('\n\n')) {
      const isError = /^event: error$/m.test(event);
      outputs.add(isError ? sinks.problems : sinks.answers, event);
      if (isError) noteErrors(event, errors);
    }
  }

  const request = (path: string, init: RequestInit) => {
    const { method = 'GET', body = '' } = init;
    const headers = { ...headersOf(method, path, typeof body === 'string' ? body : ''), ...init.headers };
    return fetch(`${url}${path}`, {
      signal: AbortSignal.timeout(15_000),
      redirect: 'manual',
      ...init,
      headers,
    });
  };

  return {
    async send(operation, path, init = {}) {
      const answer = await readAnswer(await request(path, init));
      keep(operation, answer);
      return answer;
    },
    async open(operation, path, init = {}) {
      const controller = new AbortController();
      const response = await request(path, { ...init, signal: controller.signal });
      note(operation, response.status);
      let text = '';
      const checks = new Set<() => void>();
      const ended = (async () => {
        const decoder = new TextDecoder();
        try {
          for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
            text += decoder.decode(chunk, { stream: true });
            for (const check of checks) check();
          }
        } catch {
          // the test hung up
        }
        keepEvents(text);
      })();
      return {
        status: response.status,
        runId: response.headers.get('x-run-id') ?? '',
        text: () => text,
        until: (pattern) =>
          new Promise((resolve, reject) => {
            const check = () => {
              if (pattern.test(text)) resolve();
            };
            checks.add(check);
            void ended.then(() =>
              reject(new Error(`the stream ended without ${pattern}: ${text.slice(-500)}`)),
            );
            check();
          }),
        ended,
        abort: () => controller.abort(),
      };
    },
    openSocket: (protocols = [], options = {}) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws`, protocols, {
          ...options,
          headers: { ...headersOf('GET', '/api/ws', ''), ...options.headers },
        });
        const frames: Record<string, string>[] = [];
        const checks = new Set<() => void>();
        let seen = 0;
        socket.on('message', (data) => {
          const frame = JSON.parse(String(data));
          frames.push(frame);
          outputs.add(frame.type === 'error' ? sinks.problems : sinks.answers, String(data));
          if (frame.type === 'error') noteErrors(String(data), errors);
          for (const check of checks) check();
        });
        socket.once('unexpected-response', (_request, response) => {
          note('openWebSocket', response.statusCode ?? 0);
          outputs.add(sinks.problems, JSON.stringify(response.rawHeaders));
          response.setEncoding('utf8').on('data', (text) => {
            outputs.add(sinks.problems, text);
            noteErrors(text, errors);
          });
          response.on('end', () => reject(new Error(`refused with ${response.statusCode}`)));
        });
        socket.once('upgrade', (response) => outputs.add(sinks.answers, JSON.stringify(response.rawHeaders)));
        socket.on('error', () => {});
        socket.on('close', (_code, reason) => {
          outputs.add(sinks.problems, String(reason));
          for (const check of checks) check();
        });
        socket.once('open', () => {
          note('openWebSocket', 101);
          resolve({
            frames,
            send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
            until: (...types) =>
              new Promise((found, fail) => {
                const check = () => {
                  const index = frames.findIndex(
                    ({ type }, at) => at >= seen && types.includes(String(type)),
                  );
                  if (index !== -1) {
                    seen = index + 1;
                    found(frames[index] as Record<string, string>);
                  } else if (socket.readyState === WebSocket.OPEN) return;
                  else fail(new Error(`the socket closed without ${types}`));
                  checks.delete(check);
                };
                checks.add(check);
                check();
              }),
            close: () => socket.terminate(),
          });
        });
      }),
  };
}

function noteErrors(text: string, errors: Set<string>): void {
  for (const [, problem, event] of text.matchAll(/urn:paf:error:(\w+)|"error_type":"(\w+)"/g))
    errors.add(problem ?? event ?? '');
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of HS256 for this service, but for what is told otherwise. */
export function tokenOf(secret: string, header: object, claims: object): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode({ iss: 'us', aud: 'paf', ...claims })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** The headers of a signed request. Its nonce and its signature are noted as private. */
export function signedHeaders(
  canaries: Canaries,
  { keyId, secret }: { keyId: string; secret: string },
  method: string,
  path: string,
  body: string,
  timestamp = String(Math.floor(Date.now() / 1000)),
): Record<string, string> {
  const nonce = randomUUID();
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const text = `v1\n${timestamp}\n${nonce}\n${method}\n${path}\n${bodyHash}`;
  const signature = createHmac('sha256', secret).update(text).digest('hex');
  canaries.note('nonce', nonce);
  canaries.note('signature', signature);
  return {
    'x-paf-key-id': keyId,
    'x-paf-timestamp': timestamp,
    'x-paf-nonce': nonce,
    'x-paf-signature': `v1=${signature}`,
  };
}
