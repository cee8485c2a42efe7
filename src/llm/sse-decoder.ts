import { createParser, type EventSourceMessage, type ParseError } from 'eventsource-parser';

/** A line longer than this is not an answer but an attack or a bug. */
const maxEventChars = 16 * 1024 * 1024;

/** Takes a stream's bytes as the network cuts them and reports each event at once. */
export function createSseDecoder(
  onEvent: (event: EventSourceMessage) => void,
  onOverflow: (error: ParseError) => void,
): (bytes: Uint8Array) => void {
  const utf8 = new TextDecoder();
  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent,
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') onOverflow(error);
    },
  });
  return (bytes) => parser.feed(utf8.decode(bytes, { stream: true }));
}
