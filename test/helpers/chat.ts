import { expect } from 'vitest';
import type { FakeLlm, ScriptedReply } from '../../scripts/fake-llm/server.ts';
import type { Config } from '../../src/config.ts';
import { useFakeLlm } from './fake-llm.ts';
import { fakeModelEnv, openStream, type SseEvent, startService, type TestService } from './service.ts';

export type ChatWorld = { fake: FakeLlm; service: TestService };

/** A service and the fake model it asks, which answers with these replies in order and with nothing else. */
export async function startChat(
  replies: ScriptedReply[],
  env: Record<string, string> = {},
  overrides: Partial<Config> = {},
): Promise<ChatWorld> {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(...replies);
  const service = await startService({ ...fakeModelEnv(fake.url), ...env }, overrides);
  return { fake, service };
}

export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  request_id: string;
  errors?: { path: string; message: string }[];
};

/** The problem that a response must be. */
export async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
  const problem = (await response.json()) as Problem;
  expect(problem.status).toBe(response.status);
  expect(problem.request_id).toBe(response.headers.get('x-request-id'));
  return problem;
}

export type RunRecord = {
  run_id: string;
  status: string;
  usage: Record<string, number | boolean>;
  phases: { phase: string; content: string; metadata: Record<string, unknown> }[];
  attempts: { provider: string; model: string; outcome: string }[];
  created_at: number;
  ended_at: number | null;
};

export async function getRun(service: TestService, id: string): Promise<RunRecord> {
  const response = await fetch(`${service.url}/api/runs/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as RunRecord;
}

export async function cancelRun(service: TestService, id: string): Promise<RunRecord> {
  const response = await fetch(`${service.url}/api/runs/${id}/cancel`, { method: 'POST' });
  expect(response.status).toBe(200);
  return (await response.json()) as RunRecord;
}

export const eventsUrl = (service: TestService, id: string) => `${service.url}/api/runs/${id}/events`;

export const resume = (service: TestService, id: string, after: number) =>
  openStream(eventsUrl(service, id), { headers: { 'last-event-id': String(after) } });

/** Resolves when the run has ended, however it did; resuming shows the end without keeping the run alive. */
export async function endOf(service: TestService, id: string): Promise<SseEvent[]> {
  return (await resume(service, id, 0)).ended;
}

export const namesOf = (events: SseEvent[]) => events.map((event) => event.event);

export const isContent = (event: SseEvent) => event.event === 'content';
