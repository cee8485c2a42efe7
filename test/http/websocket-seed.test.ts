import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { registerWebSocket } from '../../src/http/routes/websocket.ts';
import { createServices } from '../../src/services.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv } from '../helpers/service.ts';
import { openSocket, textOf } from '../helpers/socket.ts';

/** A service that takes WebSockets at `/` as well. */
async function startAtRoot(env: Record<string, string>) {
  const { config } = loadConfig({ HOST: '127.0.0.1', PORT: '0', ...env });
  const services = createServices(config, pino({ level: 'silent' }));
  const app = await createApp(services);
  await registerWebSocket(app, services, '/');
  await app.listen({ port: 0, host: '127.0.0.1' });
  await services.start();
  onTestFinished(async () => {
    await app.close();
    await services.close();
  });
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port };
}

test("the seed's client works when it waits until the socket is open", async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(
    { toolCalls: [{ id: 'c1', name: 'calculator', arguments: '{"expression":"6*7"}' }] },
    { text: 'It is 42 degrees.' },
  );
  const { port } = await startAtRoot(fakeModelEnv(fake.url));
  let written = '';
  const process = { stdout: { write: (text: string) => (written += text) } };
  const done = Promise.withResolvers<void>();
  const log = vi.fn((...words: unknown[]) => words[0] === 'Done!' && done.resolve());
  const console = { log };

  const ws = new WebSocket(`ws://localhost:${port}`.replace('localhost', '127.0.0.1'));
  await new Promise((resolve) => (ws.onopen = resolve));

  ws.send(
    JSON.stringify({
      type: 'query',
      prompt: 'What is the weather today?',
      sessionId: 'optional-session-id',
      effort: 'standard',
    }),
  );

  ws.onmessage = (event) => {
    const msg = JSON.parse(event.data);
    switch (msg.type) {
      case 'chunk':
        process.stdout.write(msg.content);
        break;
      case 'tool_call':
        console.log('Calling tool:', msg.toolCall.name);
        break;
      case 'tool_result':
        console.log('Tool result:', msg.toolResult);
        break;
      case 'complete':
        console.log('Done!');
        break;
    }
  };

  await done.promise;
  ws.close();
  expect(written).toBe('It is 42 degrees.');
  expect(log.mock.calls).toEqual([
    ['Calling tool:', 'calculator'],
    [
      'Tool result:',
      { id: 'c1', name: 'calculator', result: '42', is_error: false, duration_ms: expect.any(Number) },
    ],
    ['Done!'],
  ]);
});

test('a service that takes sockets at / still does at /api/ws, and answers plain requests there with 426', async () => {
  const service = await startAtRoot({});
  for (const path of ['/', '/api/ws']) {
    const client = await openSocket(service, {}, path);
    client.send({ type: 'query', prompt: 'Say hello.' });
    expect(textOf(await client.until('complete'))).not.toBe('');
    expect((await fetch(service.url + path)).status).toBe(426);
  }
  const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as { paths: object };
  expect(Object.keys(document.paths)).not.toContain('/');
});
