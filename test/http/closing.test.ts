import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { createServices } from '../../src/services.ts';
import { problemOf } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, jsonPost, openStream } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

async function startApp(fakeUrl: string) {
  const { config } = loadConfig({ LOG_LEVEL: 'silent', ...fakeModelEnv(fakeUrl) });
  const services = createServices(config);
  const app = await createApp(services);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { app, services, url };
}

test('an app that closes while a response is open answers as it always does', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  const middle = hold(2);
  fake.script({ ...hello, hold: middle });
  const { app, services, url } = await startApp(fake.url);
  const stream = await openStream(`${url}/api/chat/stream`, jsonPost(ask));
  await stream.waitFor(({ id }) => id === 2);
  const drained = services.drain();
  const closed = app.close();

  for (const path of ['/api/chat', '/api/chat/stream']) {
    const refused = await fetch(url + path, jsonPost(ask, { 'x-request-id': 'late-1' }));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('x-request-id')).toBe('late-1');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('connection')).toBe('close');
    expect((await problemOf(refused)).type).toBe('urn:paf:error:shutting_down');
  }
  const live = await fetch(`${url}/api/health/live`);
  expect(live.status).toBe(200);
  await live.text();

  middle.release();
  expect(contentOf(await stream.ended)).toBe(hello.text);
  await Promise.all([drained, closed]);
  services.close();
});
