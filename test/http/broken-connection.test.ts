import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { streamChat, type TestService } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

/** A connection on which bytes are sent as they are, and all that came back on it. */
function openConnection(service: TestService) {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  let text = '';
  socket.on('data', (part) => {
    text += part.toString('latin1');
  });
  const closed = new Promise<void>((resolve, reject) => {
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
  return { socket, closed, text: () => text };
}

test('what is no HTTP, sent while a stream is read, only closes the connection', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(service, ask);
  await stream.waitFor(({ id }) => id === 2);
  const { socket, closed, text } = openConnection(service);
  socket.write(`GET /api/runs/${stream.runId}/events HTTP/1.1\r\nHost: x\r\n\r\n`);
  await expect.poll(text).toContain('id: 2\n');
  const before = text();
  socket.write('no HTTP\r\n\r\n');
  await closed;
  expect(text()).toBe(before);
  middle.release();
  expect((await stream.ended).at(-1)?.event).toBe('done');
});

test('what is no HTTP, sent after an answer, is answered as a problem', async () => {
  const { service } = await startChat([]);
  const { socket, closed, text } = openConnection(service);
  socket.write('GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  await expect.poll(text).toContain('alive');
  const before = text();
  socket.write('no HTTP\r\n\r\n');
  await closed;
  expect(text().slice(before.length)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
});
