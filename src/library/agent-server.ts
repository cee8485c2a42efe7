import type { AddressInfo } from 'node:net';
import type { App } from '../app.js';
import type { Services } from '../services.js';
import { type AgentParts, openServices } from './agent-config.js';

export type AgentServerOptions = AgentParts & {
  /** 0: any free one; default: PORT or PAI_AGENT_PORT, 8000 */
  port?: number;
  /** default: HOST */
  host?: string;
};

type Running = { app: App; services: Services; port: number; host: string };

/** The whole service inside a program: the HTTP API, and WebSockets at `/api/ws` and `/`. It logs as the service does. */
export class AgentServer {
  private starting: Promise<Running> | undefined;
  private running: Running | undefined;
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: AgentServerOptions = {}) {}

  /** The port that it listens on. Throws before `start` is through. */
  get port(): number {
    return this.listening.port;
  }

  /** Where this machine reaches it. Throws before `start` is through. */
  get url(): string {
    const { host, port } = this.listening;
    const isEverywhere = host === '0.0.0.0' || host === '::';
    const name = isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
    return `http://${name}:${port}`;
  }

  /** Resolves when it takes requests. Rejects, leaving nothing behind, for wrong settings and for a port in use. */
  async start(): Promise<void> {
    if (this.starting) throw new Error('This AgentServer is started already.');
    this.starting = this.open();
    try {
      this.running = await this.starting;
    } catch (error) {
      this.starting = undefined;
      throw error;
    }
  }

  /** Refuses new runs, lets live ones finish within DRAIN_TIMEOUT, and closes what it opened. May be started again. */
  stop(): Promise<void> {
    this.stopping ??= this.close().finally(() => {
      this.stopping = undefined;
    });
    return this.stopping;
  }

  private get listening(): Running {
    if (!this.running) throw new Error('This AgentServer is not started.');
    return this.running;
  }

  private async close(): Promise<void> {
    const running = await this.starting?.catch(() => undefined);
    if (!running) return;
    const { app, services } = running;
    await services.drain();
    await app.close();
    await services.close();
    this.starting = undefined;
    this.running = undefined;
  }

  private async open(): Promise<Running> {
    const { port, host } = this.options;
    const [{ createApp }, { registerWebSocket }] = await Promise.all([
      import('../app.js'),
      import('../http/routes/websocket.js'),
    ]);
    const { services, warnings } = await openServices(this.options, (config) => ({
      port: port ?? config.port,
      host: host ?? config.host,
    }));
    const { config, logger } = services;
    for (const warning of warnings) logger.warn(warning);
    let app: App | undefined;
    try {
      app = await createApp(services);
      registerWebSocket(app, services, '/');
      await app.listen({ port: config.port, host: config.host });
      await services.start();
    } catch (error) {
      await app?.close();
      await services.close();
      throw (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        ? new Error(`The port ${config.port} is in use.`, { cause: error })
        : error;
    }
    const { port: taken } = app.server.address() as AddressInfo;
    return { app, services, port: taken, host: config.host };
  }
}
