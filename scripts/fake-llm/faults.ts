/** What may go wrong. `after` counts the deltas that were sent before it happens (the role delta does not count). */
export type Fault =
  | { type: 'status'; status: number; body?: string | object; retryAfter?: number | string }
  /** the connection is reset before any header */
  | { type: 'reset' }
  /** the request is read and never answered */
  | { type: 'hang' }
  /** headers and `after` deltas, then silence */
  | { type: 'stall'; after: number }
  | { type: 'cut'; after: number }
  /** the body ends cleanly with no finish reason; `done` sends [DONE] all the same */
  | { type: 'end'; after: number; done: boolean }
  | { type: 'malformed'; after: number }
  /** an error object inside the stream, which then ends */
  | { type: 'error'; after: number; body?: object }
  | { type: 'duplicate'; after: number }
  | { type: 'empty-deltas' }
  | { type: 'empty-choices' }
  /** how the second and later tool calls are numbered */
  | { type: 'tool-index'; how: 'wrong' | 'missing' | 'duplicate' }
  | { type: 'arguments-first' }
  | { type: 'one-byte' }
  | { type: 'split-utf8' }
  | { type: 'crlf' }
  | { type: 'pings' }
  | { type: 'endless' }
  | { type: 'content-type'; value: string }
  /** a whole JSON answer although a stream was asked for */
  | { type: 'json' };

export type FaultType = Fault['type'];

export const faultUsage = `  status:CODE[:RETRY_AFTER|html|garbage|empty]   answer with this HTTP status
  reset                      reset the connection before any header
  hang                       never answer
  stall[:N]  cut[:N]         go silent / destroy the socket after N deltas (default 0)
  end[:N[:done]]             end cleanly after N deltas without a finish reason
  malformed[:N]  error[:N]   broken JSON / an error object in the stream after N deltas
  duplicate[:N]              send the delta after the first N twice
  empty-deltas  empty-choices  pings  crlf  one-byte  split-utf8
  tool-index:wrong|missing|duplicate  arguments-first
  endless                    an answer that never ends
  content-type[:VALUE]  json   wrong content type / JSON answer to a stream request`;

const statusBodies: Record<string, string> = {
  html: '<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>',
  garbage: '\u0000\u0001{"error": not json',
  empty: '',
};

const parsers: Record<FaultType, (args: string[]) => Fault> = {
  status: ([status, detail]) => {
    const fault = { type: 'status', status: wholeNumber(status, 400, 599) } as const;
    if (detail === undefined) return fault;
    const body = statusBodies[detail];
    return body === undefined ? { ...fault, retryAfter: detail } : { ...fault, body };
  },
  reset: () => ({ type: 'reset' }),
  hang: () => ({ type: 'hang' }),
  stall: ([after]) => ({ type: 'stall', after: count(after) }),
  cut: ([after]) => ({ type: 'cut', after: count(after) }),
  end: ([after, done]) => ({ type: 'end', after: count(after), done: done === 'done' }),
  malformed: ([after]) => ({ type: 'malformed', after: count(after) }),
  error: ([after]) => ({ type: 'error', after: count(after) }),
  duplicate: ([after]) => ({ type: 'duplicate', after: count(after) }),
  'empty-deltas': () => ({ type: 'empty-deltas' }),
  'empty-choices': () => ({ type: 'empty-choices' }),
  'tool-index': ([how = 'wrong']) => {
    if (how !== 'wrong' && how !== 'missing' && how !== 'duplicate')
      throw new Error(`unknown index "${how}"`);
    return { type: 'tool-index', how };
  },
  'arguments-first': () => ({ type: 'arguments-first' }),
  'one-byte': () => ({ type: 'one-byte' }),
  'split-utf8': () => ({ type: 'split-utf8' }),
  crlf: () => ({ type: 'crlf' }),
  pings: () => ({ type: 'pings' }),
  endless: () => ({ type: 'endless' }),
  'content-type': ([value = 'text/plain']) => ({ type: 'content-type', value }),
  json: () => ({ type: 'json' }),
};

/** Reads the command-line form of a fault, such as `cut:5` or `status:429:2`. */
export function parseFault(text: string): Fault {
  const [name = '', ...args] = text.trim().split(':');
  if (!Object.hasOwn(parsers, name)) throw new Error(`unknown fault "${text}"`);
  try {
    return parsers[name as FaultType](args);
  } catch (error) {
    throw new Error(`bad fault "${text}": ${(error as Error).message}`);
  }
}

function count(text: string | undefined): number {
  return text === undefined ? 0 : wholeNumber(text, 0, Number.MAX_SAFE_INTEGER);
}

function wholeNumber(text: string | undefined, min: number, max: number): number {
  const value = Number(text);
  if (text === undefined || !/^\d+$/.test(text) || value < min || value > max) {
    throw new Error(`expected a whole number from ${min} to ${max}`);
  }
  return value;
}
