import { tracingChannel } from 'node:diagnostics_channel';
import { trace } from '@opentelemetry/api';
import { errorTypeOf, type OpenSpan, startSpan, uncollected } from './spans.js';

/** What ioredis tells of a command. Its arguments are nobody's business. */
type Told = {
  command?: string;
  database?: number;
  serverAddress?: string;
  serverPort?: number;
};

/** A span for each command to Redis that is a part of a trace. ioredis reports them itself, so nothing is patched. */
export function traceRedis(): void {
  const open = new WeakMap<object, OpenSpan>();
  const handlers = {
    start(message: object) {
      if (trace.getActiveSpan()) open.set(message, startCommand(message));
    },
    error(message: object & { error: unknown }) {
      open.get(message)?.end(errorTypeOf(message.error));
    },
    asyncEnd(message: object) {
      open.get(message)?.end();
    },
  };
  tracingChannel('ioredis:command').subscribe(handlers as never);
}

function startCommand({ command = 'command', database, serverAddress, serverPort }: Told): OpenSpan {
  const name = command.toUpperCase();
  return startSpan(name, {
    kind: 'client',
    // what a run books at its end is not stopped with it
    parent: uncollected(),
    attributes: {
      'db.system.name': 'redis',
      'db.operation.name': name,
      ...(database !== undefined && { 'db.namespace': String(database) }),
      ...(serverAddress !== undefined && { 'server.address': serverAddress }),
      ...(serverPort !== undefined && { 'server.port': serverPort }),
    },
  });
}
