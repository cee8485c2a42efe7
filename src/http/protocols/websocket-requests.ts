import type { TSchema } from 'typebox';
import type { App } from '../../app.js';
import { Fault } from '../../core/errors.js';
import { nearestOf } from '../../core/nearest.js';
import { invalidRequest, schemaFault } from '../plugins/errors.js';
import { parseJson } from '../plugins/json-body.js';
import type { ChatBody } from '../schemas/chat.js';
import { type QueryFrame, type RequestFrame, requestFrames } from '../schemas/websocket.js';
import type { Named } from './websocket-frames.js';

type FrameType = RequestFrame['type'];
const frameTypes = Object.keys(requestFrames) as FrameType[];
const maxNameLength = 128;

/** Reads messages of a socket with the validator that reads the bodies of the app. */
export interface RequestReader {
  /** Throws `invalid_request` for what is no request of section 5 of the design, with every problem of its fields. */
  read(value: unknown): RequestFrame;
}

export function parseMessage(bytes: Buffer, isBinary: boolean): unknown {
  if (isBinary) throw new Fault('invalid_request', 'The message is binary; send JSON as text.');
  return parseJson(bytes, 'message');
}

export function createRequestReader(app: App, url: string): RequestReader {
  const validators = Object.fromEntries(
    frameTypes.map((type) => [type, compile(app, url, requestFrames[type])]),
  ) as Record<FrameType, ReturnType<typeof compile>>;
  return {
    read(value) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new Fault('invalid_request', 'The message must be a JSON object.');
      }
      const { type } = value as { type?: unknown };
      if (type === undefined) throw invalidRequest([{ path: 'type', message: 'is required' }]);
      if (!isFrameType(type)) throw unknownType(type);
      const validate = validators[type];
      if (!validate(value)) throw schemaFault(validate.errors ?? [], 'message');
      return value as RequestFrame;
    },
  };
}

/** The ids that a request names, whether it is right or wrong. */
export function namesIn(value: unknown): Named {
  if (typeof value !== 'object' || value === null) return {};
  const { sessionId, runId } = value as Record<string, unknown>;
  return {
    ...(isName(sessionId) ? { sessionId } : {}),
    ...(isName(runId) ? { runId } : {}),
  };
}

/** Whether a request starts a run or follows one, which is limited apart; it is right or wrong. */
export function followsRun(value: unknown): boolean {
  const { type } = (value ?? {}) as { type?: unknown };
  return type === 'query' || type === 'resume';
}

/** A query as the body that it would be over HTTP. */
export function toChatBody({ type: _, prompt, sessionId, ...fields }: QueryFrame): ChatBody {
  return { ...fields, message: prompt, ...(sessionId === undefined ? {} : { session_id: sessionId }) };
}

/** A fault of a body in the words of the query that it came from. */
export function inQueryTerms(error: unknown): unknown {
  if (!(error instanceof Fault) || error.type !== 'invalid_request' || !error.problems) return error;
  const problems = error.problems.map(({ path, message }) => ({
    path: path === 'message' ? 'prompt' : path === 'session_id' ? 'sessionId' : path,
    message: message.replaceAll('session_id', 'sessionId'),
  }));
  return invalidRequest(problems);
}

function compile(app: App, url: string, schema: TSchema) {
  const compiler = app.validatorCompiler;
  if (!compiler) throw new Error('the app has no validator');
  return compiler({ schema, method: 'GET', url, httpPart: 'body' }) as {
    (value: unknown): boolean;
    errors?: Parameters<typeof schemaFault>[0];
  };
}

function unknownType(type: unknown): Fault {
  const meant = typeof type === 'string' ? nearestOf(frameTypes, type.slice(0, 100)) : undefined;
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return invalidRequest([{ path: 'type', message: `must be one of: ${frameTypes.join(', ')}${hint}` }]);
}

const isFrameType = (type: unknown): type is FrameType => frameTypes.some((known) => known === type);
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= maxNameLength;
