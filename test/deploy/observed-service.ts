import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import { send } from '../helpers/contract.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv, jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';
import { startOddWorker } from '../helpers/workers.ts';
import { type Prometheus, patient, startPrometheus } from './prometheus-server.ts';

const models = `providers:
  openai:
    models:
      - id: fake-model
        price: { input: 1, output: 2 }
`;

/** A service with everything that has metrics of its own: a model with a price, a worker, one that is away, an MCP server that is away. */
export async function startObserved(): Promise<TestService> {
  const folder = mkdtempSync(join(tmpdir(), 'observed-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const modelsFile = join(folder, 'models.yaml');
  writeFileSync(modelsFile, models);
  const fake = await useFakeLlm();
  const worker = await startOddWorker();
  const service = await startService({
    ...fakeModelEnv(fake.url),
    MODELS_FILE: modelsFile,
    MAX_CONCURRENT_REQUESTS: '1',
    WORKER_AGENT_ENDPOINTS: `${worker.endpoint},127.0.0.1:1`,
    WORKER_PLAINTEXT: 'true',
    MCP_SERVERS: JSON.stringify({ absent: { url: 'http://127.0.0.1:1/mcp' } }),
  });
  await vi.waitFor(async () => {
    const { text } = await send(service, '/api/workers');
    expect(text).toContain('"serving"');
  }, patient);
  return service;
}

/** The service, scraped by a Prometheus that saw it before its first request. */
export async function startScraped(): Promise<{ service: TestService; prometheus: Prometheus }> {
  const service = await startObserved();
  const prometheus = await startPrometheus({ host: service.url.slice('http://'.length) });
  await scrapes(prometheus, 2);
  return { service, prometheus };
}

/** Resolves after this many more scrapes. */
export async function scrapes(prometheus: Prometheus, count: number): Promise<void> {
  const scraped = 'count_over_time(up{job="paf-core-agent"}[1h])';
  const seen = async () => Number((await prometheus.query(scraped))[0]?.value[1] ?? 0);
  const before = await seen();
  await vi.waitFor(async () => expect(await seen()).toBeGreaterThanOrEqual(before + count), patient);
}

const chat = (service: TestService, body: object) => send(service, '/api/chat', jsonPost(body));

/** Answers, tools, a session, a stream, a full house and mistakes of callers: nothing that an alert is for. */
export async function driveTraffic(service: TestService): Promise<void> {
  const created = await send(service, '/api/sessions', jsonPost({ title: 'Watched' }));
  const { id } = JSON.parse(created.text) as { id: string };
  expect((await chat(service, { message: 'Hello.', session_id: id })).status).toBe(200);
  for (const tool of ['calculator {"expression": "6 * 7"}', 'worker__partial {}'])
    expect((await chat(service, { message: `/tool ${tool}` })).status).toBe(200);
  const stream = await streamChat(service, { message: '/tokens 20 /delay 20' });
  expect((await chat(service, { message: 'There is no place left.' })).status).toBe(503);
  await stream.ended;
  expect((await chat(service, {})).status).toBe(400);
  expect((await send(service, '/api/runs/run_nope')).status).toBe(404);
}

/** Requests that fail because the only provider does, until its breaker is open. */
export async function driveFaults(service: TestService): Promise<void> {
  for (let count = 0; count < 6; count += 1) {
    const { status } = await chat(service, { message: '/fault status:503:0' });
    expect([502, 503]).toContain(status);
  }
}
