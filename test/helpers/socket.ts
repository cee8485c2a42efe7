import { once } from 'node:events';
import type { Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import type { TestService } from './service.ts';

export type Frame = {
  type: string;
  sessionId?: string;
  runId?: string;
  seq?: number;
  content?: string;
  error?: string;
  error_type?: string;
  errors?: { path: string; message: string }[];
  [field: string]: unknown;
};

export type TestSocket = {
  socket: WebSocket;
  /** the connection below it */
  wire: Socket;
  /** frames so far */
  frames: Frame[];
  send(request: object): void;
  /** resolves with the first frame that fits, also one that came already; rejects when the socket closes without it */
  waitFor(predicate: (frame: Frame) => boolean): Promise<Frame>;
  /** the frames after those seen so far, up to the first one of these types */
  until(...types: string[]): Promise<Frame[]>;
  /** resolves with the close code */
  closed: Promise<number>;
  /** why the service closed it, once it did */
  reason(): string;
};

export const socketUrl = ({ url }: Pick<TestService, 'url'>, path = '/api/ws') =>
  `${url.replace('http', 'ws')}${path}`;

/** Opens a socket with the client `ws`, which the test's end cuts. */
export async function openSocket(
  service: Pick<TestService, 'url'>,
  options: ClientOptions = {},
  path?: string,
  protocols: string[] = [],
): Promise<TestSocket> {
  const socket = new WebSocket(socketUrl(service, path), protocols, options);
  onTestFinished(() => socket.terminate());
  const frames: Frame[] = [];
  const checks = new Set<() => void>();
  let reason = '';
  const closed = new Promise<number>((resolve) => {
    socket.on('close', (code, text) => {
      reason = String(text);
      resolve(code);
      for (const check of checks) check();
    });
  });
  socket.on('message', (data) => {
    frames.push(JSON.parse(String(data)) as Frame);
    for (const check of checks) check();
  });
  const [[{ socket: wire }]] = (await Promise.all([once(socket, 'upgrade'), once(socket, 'open')])) as [
    [{ socket: Socket }],
    unknown,
  ];
  socket.on('error', () => {});
  let seen = 0;
  const waitFrom = (start: number, predicate: (frame: Frame) => boolean) =>
    new Promise<number>((resolve, reject) => {
      const check = () => {
        const index = frames.findIndex((frame, at) => at >= start && predicate(frame));
        if (index !== -1) resolve(index);
        else if (socket.readyState !== WebSocket.OPEN)
          reject(new Error(`the socket closed after ${JSON.stringify(frames.slice(-3))}`));
        else return;
        checks.delete(check);
      };
      checks.add(check);
      check();
    });
  return {
    socket,
    wire,
    frames,
    closed,
    reason: () => reason,
    send: (request) => socket.send(JSON.stringify(request)),
    waitFor: async (predicate) => frames[await waitFrom(0, predicate)] as Frame,
    async until(...types) {
      const end = await waitFrom(seen, ({ type }) => types.includes(type));
      const start = seen;
      seen = end + 1;
      return frames.slice(start, seen);
    },
  };
}

export const textOf = (frames: Frame[]) =>
  frames
    .filter(({ type }) => type === 'chunk')
    .map(({ content }) => content)
    .join('');
export const typesOf = (frames: Frame[]) => frames.map(({ type }) => type);

/** What a refused handshake was answered with. */
export async function refusalOf(
  service: Pick<TestService, 'url'>,
  options: ClientOptions = {},
  path?: string,
): Promise<{ status: number; headers: Record<string, unknown>; problem: { type: string; detail: string } }> {
  const socket = new WebSocket(socketUrl(service, path), options);
  const [, response] = await once(socket, 'unexpected-response');
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode, headers: response.headers, problem: JSON.parse(text) };
}
