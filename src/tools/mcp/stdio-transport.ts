import { type ChildProcess, spawn } from 'node:child_process';
import {
  type JSONRPCMessage,
  ReadBuffer,
  serializeMessage,
  type Transport,
} from '@modelcontextprotocol/client';
import { McpFailure } from './failures.js';
import type { McpServerConfig } from './mcp-server.js';

type StdioConfig = Extract<McpServerConfig, { transport: 'stdio' }>;

/** How long a server may take to end by itself after the end of its input, before SIGTERM. */
const endGraceMs = 500;
/** From the end of its input to SIGKILL. */
const killAfterMs = 2_000;
/** How long output is still read after the process ended; a process that it started may hold the pipe open. */
const lastOutputMs = 250;

/**
 * A server that is a child process and speaks over its standard input and output. It runs in a process group of its
 * own, so that what it started ends with it, and gets the configured environment only: the SDK's transport does neither.
 */
export class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: Transport['onmessage'];
  /** why the process ended; undefined while it runs */
  endReason: string | undefined;
  readonly #config: StdioConfig;
  readonly #buffer = new ReadBuffer();
  #child: ChildProcess | undefined;
  readonly #ended = Promise.withResolvers<void>();
  readonly #onExit = () => this.#kill('SIGKILL');

  constructor(config: StdioConfig) {
    this.#config = config;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): Promise<void> {
    const { command, args, env, cwd } = this.#config;
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        const { code = 'unknown' } = error as NodeJS.ErrnoException;
        this.#end(`its command cannot be started (${code})`);
        reject(new McpFailure(`its command cannot be started (${code})`));
      };
      try {
        this.#child = spawn(command, args, { env, cwd, stdio: ['pipe', 'pipe', 'ignore'], detached: true });
      } catch (error) {
        fail(error);
        return;
      }
      const child = this.#child;
      // the service may also end without closing anything
      process.once('exit', this.#onExit);
      child.once('error', fail);
      child.once('spawn', resolve);
      child.once('exit', (code, signal) => {
        const reason =
          code === null ? `its process was ended by ${signal}` : `its process exited with code ${code}`;
        const end = () => this.#end(reason);
        child.once('close', end);
        setTimeout(end, lastOutputMs).unref();
      });
      // the exit that follows says all
      child.stdin?.on('error', () => {});
      child.stdout?.on('data', (chunk: Buffer) => this.#read(chunk));
    });
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin;
    if (!stdin?.writable) throw new McpFailure(this.endReason ?? 'its process does not read');
    if (stdin.write(serializeMessage(message))) return;
    await Promise.race([new Promise((resolve) => stdin.once('drain', resolve)), this.#ended.promise]);
  }

  /** Resolves when the process and all that it started are gone. */
  async close(): Promise<void> {
    if (this.#child === undefined || this.endReason !== undefined) return;
    this.#child.stdin?.end();
    const timers = [
      setTimeout(() => this.#kill('SIGTERM'), endGraceMs),
      setTimeout(() => this.#kill('SIGKILL'), killAfterMs),
    ];
    await this.#ended.promise;
    for (const timer of timers) clearTimeout(timer);
  }

  #read(chunk: Buffer): void {
    try {
      this.#buffer.append(chunk);
    } catch {
      this.onerror?.(new McpFailure('it sent a message of more than 10 MB'));
      this.#kill('SIGKILL');
      return;
    }
    for (;;) {
      try {
        const message = this.#buffer.readMessage();
        if (message === null) return;
        this.onmessage?.(message);
      } catch {
        // JSON that is no message; lines that are not even JSON are skipped by the buffer
        this.onerror?.(new McpFailure('it wrote something that is no message'));
      }
    }
  }

  #end(reason: string): void {
    if (this.endReason !== undefined) return;
    this.endReason = reason;
    process.removeListener('exit', this.#onExit);
    this.#kill('SIGKILL');
    this.#child?.stdin?.destroy();
    this.#child?.stdout?.destroy();
    this.#buffer.clear();
    this.#ended.resolve();
    this.onclose?.();
  }

  /** Ends the whole group: what the process started, too. */
  #kill(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // nothing is left of it
    }
  }
}
