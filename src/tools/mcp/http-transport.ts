import {
  type JSONRPCMessage,
  type RequestId,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { streamEnded } from './failures.js';

type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1];

/**
 * Streamable HTTP that answers for a server that no longer can: a request whose stream ended without a response and
 * cannot be resumed fails at once. Otherwise it would stay pending until its own time limit.
 */
export class HttpTransport extends StreamableHTTPClientTransport {
  readonly #waiting = new Set<RequestId>();

  constructor(url: string, headers: Record<string, string>, fetch: typeof globalThis.fetch) {
    super(new URL(url), {
      requestInit: { headers },
      fetch,
      reconnectionOptions: {
        initialReconnectionDelay: 500,
        maxReconnectionDelay: 1_000,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: 2,
      },
      // no timer of it keeps a process alive
      reconnectionScheduler: (reconnect, delayMs) => {
        const timer = setTimeout(reconnect, delayMs).unref();
        return () => clearTimeout(timer);
      },
    });
  }

  override async start(): Promise<void> {
    const deliver = this.onmessage;
    this.onmessage = (message) => {
      if (!('method' in message) && message.id !== undefined) this.#waiting.delete(message.id);
      deliver?.(message);
    };
    return super.start();
  }

  override async send(message: JSONRPCMessage, options: SendOptions = {}): Promise<void> {
    if (!('method' in message) || !('id' in message)) return super.send(message, options);
    const { id } = message;
    this.#waiting.add(id);
    return super.send(message, { ...options, onRequestStreamEnd: () => this.#fail(id) });
  }

  #fail(id: RequestId): void {
    if (!this.#waiting.has(id)) return;
    this.onmessage?.({
      jsonrpc: '2.0',
      id,
      error: { code: streamEnded, message: 'the stream ended without a response' },
    });
  }
}
