import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { cancelRun, startChat } from '../helpers/chat.ts';
import { startFileServer } from '../helpers/file-server.ts';
import { type SseStream, streamChat, type TestService } from '../helpers/service.ts';

/** All runs together may hold four times as much. */
const env = { MAX_FILE_BYTES: '1000', FILE_URL_ALLOW_PRIVATE: 'true' };
const inline = { message: 'What is in it?', files: [{ file_name: 'a.txt', content: 'x'.repeat(950) }] };

/** Four runs that hold all the room while their model says nothing. */
async function fill(service: TestService, held: { reached: Promise<void> }[]): Promise<SseStream[]> {
  const streams = await Promise.all(held.map(() => streamChat(service, inline)));
  await Promise.all(held.map(({ reached }) => reached));
  return streams;
}

async function startFull() {
  const held = Array.from({ length: 4 }, () => hold(0));
  const { service, fake } = await startChat(
    [...held.map((each) => ({ text: 'Letters.', hold: each })), { text: 'Letters.' }],
    env,
  );
  return { service, fake, held, streams: await fill(service, held) };
}

test('a run whose files have no room waits until another one ends', async () => {
  const { service, fake, held, streams } = await startFull();
  const waiting = await streamChat(service, inline);
  const cancelled = await streamChat(service, inline);
  // files or none: nobody else waits with them, and a run that waits can be cancelled
  const startedMs = performance.now();
  await cancelRun(service, cancelled.runId);
  expect((await cancelled.ended).at(-2)?.data).toMatchObject({ error_type: 'cancelled' });
  expect(performance.now() - startedMs).toBeLessThan(250);
  expect(fake.requests).toHaveLength(4);
  held[0]?.release();
  expect((await waiting.ended).at(-2)?.event).toBe('complete');
  for (const each of held) each.release();
  for (const stream of streams) expect((await stream.ended).at(-2)?.event).toBe('complete');
});

test('a fetched file that turns out too large for what is left is refused as overloaded', async () => {
  const { service, held, streams } = await startFull();
  const server = await startFileServer((_request, response) => response.end('y'.repeat(900)));
  const link = { file_name: 'b.txt', signed_url: server.url };
  const refused = await streamChat(service, { message: 'What is in it?', files: [link] });
  expect((await refused.ended).at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'overloaded', retryable: true },
  });
  for (const each of held) each.release();
  for (const stream of streams) await stream.ended;
  const later = await streamChat(service, { message: 'What is in it?', files: [link] });
  expect((await later.ended).at(-2)?.event).toBe('complete');
});
