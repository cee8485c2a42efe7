import type { ServerResponse } from 'node:http';

/** One request's connection, from the server's side. */
export type Exchange = {
  readonly response: ServerResponse;
  /** aborts when the client leaves before the answer is over */
  readonly signal: AbortSignal;
  /** ends the connection on purpose: `close` after what was written, `reset` at once */
  destroy(how: 'close' | 'reset'): void;
};

/** `onEnd` hears once whether it was the client that ended the exchange early. */
export function openExchange(response: ServerResponse, onEnd: (isAborted: boolean) => void): Exchange {
  const gone = new AbortController();
  let isOurs = false;
  response.once('close', () => {
    const isAborted = !response.writableFinished && !isOurs;
    if (isAborted) gone.abort();
    onEnd(isAborted);
  });
  return {
    response,
    signal: gone.signal,
    destroy(how) {
      isOurs = true;
      if (how === 'reset') response.socket?.resetAndDestroy();
      else response.socket?.destroySoon();
    },
  };
}
