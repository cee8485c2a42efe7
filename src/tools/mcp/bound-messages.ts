import { McpFailure } from './failures.js';

type Fetch = typeof globalThis.fetch;

/** As much as the SDK takes of a server that is a process. */
const maxMessageBytes = 10 * 1024 * 1024;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Breaks off a response with a message of more than 10 MB, as the SDK reads messages whole. */
export function boundMessages(fetch: Fetch): Fetch {
  return async (address, init) => {
    const response = await fetch(address, init);
    if (!response.body) return response;
    const { status, statusText, headers, url, redirected } = response;
    const isStream = /^text\/event-stream\b/i.test(headers.get('content-type') ?? '');
    const body = response.body.pipeThrough(createLimit(isStream));
    const bounded = new Response(body, { status, statusText, headers });
    return Object.defineProperties(bounded, { url: { value: url }, redirected: { value: redirected } });
  };
}

/** `isStream`: a blank line ends a message. */
function createLimit(isStream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  let last = 0;
  const countEvents = (chunk: Uint8Array) => {
    for (const byte of chunk) {
      bytes += 1;
      if (byte === carriageReturn) continue;
      if (byte === lineFeed && last === lineFeed) bytes = 0;
      last = byte;
    }
  };
  return new TransformStream({
    transform(chunk, controller) {
      if (isStream) countEvents(chunk);
      else bytes += chunk.length;
      if (bytes <= maxMessageBytes) controller.enqueue(chunk);
      else controller.error(new McpFailure('it sent a message of more than 10 MB'));
    },
  });
}
