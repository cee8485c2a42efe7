import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { problemOf } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, jsonPost, openStream } from '../helpers/service.ts';
import { memoryOf, type ServiceProcess, startProcess } from './service-process.ts';

const megabyte = 1024 * 1024;

/** An answer of so many MiB in deltas of 2,000 bytes. */
function hugeReply(megabytes: number): ScriptedReply {
  const chunkOf = (chunk: number) =>
    Array.from(
      { length: 38 },
      (_, line) => `${chunk}/${line}: A line of a story that nobody reads to its end.\n`,
    )
      .join('')
      .slice(0, 1999);
  const length = Math.ceil((megabytes * megabyte) / 2000);
  return { chunks: Array.from({ length }, (_, index) => `${chunkOf(index)}\n`) };
}

const ask = { message: 'Tell a long story.' };

async function startWithAnswers(...megabytes: number[]) {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(...megabytes.map(hugeReply));
  const service = await startProcess(fakeModelEnv(fake.url));
  return { fake, service };
}

/** Asks for a stream on a socket of its own and never reads from it. */
function askAndNeverRead(service: ServiceProcess, body: object): void {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname).pause();
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => {});
  const text = JSON.stringify(body);
  socket.write(
    `POST /api/chat/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

async function readFromStart(service: ServiceProcess): Promise<string> {
  const stream = await openStream(`${service.url}/api/chat/stream`, jsonPost(ask));
  return contentOf(await stream.ended);
}

const logLine = (service: ServiceProcess, message: string) =>
  service
    .stdout()
    .split('\n')
    .filter((line) => line.includes(`"msg":"${message}"`))
    .map((line) => JSON.parse(line) as { run_id: string; outcome?: string })
    .at(-1);

test('a reader that reads gets all of an answer that is far longer than the log', async () => {
  const { service } = await startWithAnswers(12);
  const answer = await readFromStart(service);
  expect(answer.length).toBe(hugeReply(12).chunks?.join('').length);
  expect(service.stdout()).not.toContain('stalled');
});

test.skipIf(process.platform !== 'linux').each([
  ['cancel', 'cancelled', 40],
  ['continue', 'completed', 9],
])(
  'a reader that never reads is dropped, on_disconnect %s: the run is %s, the memory bounded',
  async (policy, outcome, megabytes) => {
    const { fake, service } = await startWithAnswers(9, 9, megabytes);
    for (let warmUp = 1; warmUp <= 2; warmUp += 1) await readFromStart(service);
    const before = memoryOf(service.pid).now;
    // from here on the peak is counted afresh
    writeFileSync(`/proc/${service.pid}/clear_refs`, '5');
    askAndNeverRead(service, { ...ask, on_disconnect: policy });
    await service.waitForOutput(/"msg":"a reader stalled and was dropped"/);
    const run = logLine(service, 'a reader stalled and was dropped')?.run_id ?? '';
    await service.waitForOutput(new RegExp(`"run_id":"${run}"[^\\n]*"msg":"run ${outcome}"`));
    if (outcome === 'cancelled') await fake.waitForAbort();
    const record = await (await fetch(`${service.url}/api/runs/${run}`)).json();
    expect(record).toMatchObject({ status: outcome });
    expect(memoryOf(service.pid).peak - before).toBeLessThan(64);
    if (outcome === 'cancelled') return;
    const tooOld = await fetch(`${service.url}/api/runs/${run}/events`);
    expect(tooOld.status).toBe(410);
    const held = Number(/Events up to (\d+) are no longer held/.exec((await problemOf(tooOld)).detail)?.[1]);
    const rest = await openStream(`${service.url}/api/runs/${run}/events?after=${held}`);
    const bytes = contentOf(await rest.ended).length;
    expect(bytes).toBeGreaterThan(7 * megabyte);
    expect(bytes).toBeLessThan(8 * megabyte);
  },
);
