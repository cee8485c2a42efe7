import { once } from 'node:events';
import { AgentRuntime, AgentServer } from 'paf-core-agent';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { bearer, jwtEnv, mint } from '../helpers/credentials.ts';
import { useModel } from '../helpers/program.ts';
import { jsonPost } from '../helpers/service.ts';

test('an AgentServer asks who calls, as the environment says', async () => {
  await useModel([{ text: 'Hello, Ada.' }], jwtEnv);
  const server = new AgentServer({ port: 0, host: '127.0.0.1' });
  await server.start();
  onTestFinished(() => server.stop());
  const ask = (headers: Record<string, string>) =>
    fetch(`${server.url}/api/chat`, jsonPost({ message: 'Hello' }, headers));
  expect((await ask({})).status).toBe(401);
  const answer = await ask(bearer(mint()));
  expect(await answer.json()).toMatchObject({ content: 'Hello, Ada.' });
  const open = async (headers: Record<string, string>) => {
    const socket = new WebSocket(server.url.replace('http', 'ws'), { headers });
    onTestFinished(() => socket.terminate());
    socket.on('error', () => {});
    return Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, { statusCode }]) => statusCode),
    ]);
  };
  expect([await open({}), await open(bearer(mint()))]).toEqual([401, 101]);
});

test('an AgentServer lets nobody reach in production what is open or has a weak secret', async () => {
  await useModel([], { NODE_ENV: 'production', METRICS_TOKEN: 'short' });
  const server = new AgentServer({ port: 0, host: '127.0.0.1' });
  await expect(server.start()).rejects.toThrow(
    'AUTH_MODE is none, which NODE_ENV=production refuses: set it to jwt, hmac or any, or set ALLOW_ANONYMOUS=true\n' +
      'METRICS_TOKEN has less than 32 bytes; openssl rand -hex 32 makes a good one',
  );
  expect(() => server.port).toThrow();
});

test('an AgentRuntime, which nobody reaches, asks nobody, in production too', async () => {
  await useModel([{ text: 'Hello.' }], { NODE_ENV: 'production' });
  const runtime = new AgentRuntime();
  onTestFinished(() => runtime.close());
  expect(await runtime.querySync('Hello')).toMatchObject({ response: 'Hello.' });
});
