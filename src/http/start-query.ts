import { randomUUID } from 'node:crypto';
import { anonymous } from '../auth/authenticator.js';
import type { Run } from '../runs/run.js';
import type { Services } from '../services.js';
import { schemaFault } from './plugins/errors.js';
import { createBodyValidator } from './plugins/validation.js';
import { inQueryTerms, toChatBody } from './protocols/websocket-requests.js';
import { type QueryFrame, requestFrames } from './schemas/websocket.js';
import { startRun } from './start-run.js';

export type Query = Omit<QueryFrame, 'type'>;

/** Starts the run of a query that comes from the program itself; it is checked as one that comes over a socket. */
export function createQueryStarter(services: Services) {
  const validate = createBodyValidator().compile(requestFrames.query);
  return async (query: Query, isStream: boolean, signal: AbortSignal): Promise<Run> => {
    const frame: QueryFrame = { type: 'query', ...query };
    if (!validate(frame)) throw schemaFault(validate.errors ?? [], 'query');
    const body = toChatBody(frame);
    const call = {
      caller: anonymous,
      requestId: randomUUID(),
      body,
      idempotencyKey: undefined,
      isStream,
      makesSession: true,
    };
    try {
      return await startRun(services, call, signal);
    } catch (error) {
      throw inQueryTerms(error);
    }
  };
}
