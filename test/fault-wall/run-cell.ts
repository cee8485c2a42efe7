import { delay } from '../../src/core/abort.ts';
import { getRun, namesOf } from '../helpers/chat.ts';
import { contentOf, startService, streamChat, type TestService } from '../helpers/service.ts';
import { holdClosedPort } from './closed-port.ts';
import { type Cell, fallbackOf, type Outcome, type Plan } from './plan.ts';
import { continuedFrom, type FakeServer, modelOf, models, type Provider, providers } from './providers.ts';

/** What was seen in a cell, in the terms of its plan. */
export type Seen = {
  outcome: Outcome | 'truncated' | 'hang';
  text: string;
  attempts: string[];
  isEstimated: boolean;
  error: { error_type: unknown; retryable: unknown } | undefined;
  /** what each server was asked to go on from */
  continuedFrom: Record<string, (string | undefined)[]>;
};

export type World = {
  service: TestService;
  servers: Map<Provider['name'], FakeServer>;
  /** Ends the provider's server for good. */
  stopProvider(): Promise<void>;
  close(): Promise<void>;
};

const hangMs = 15_000;

/** A service with the providers of a cell, each with the answers that the plan gives it. */
export async function startWorld(cell: Cell, plan: Plan, env: Record<string, string> = {}): Promise<World> {
  const { provider, hasFallback } = cell;
  const present = [provider, ...(hasFallback ? [providers[fallbackOf[provider.name]]] : [])];
  const servers = new Map<Provider['name'], FakeServer>();
  const isGone = cell.fault.class === 'refused' && cell.position === 'before';
  const closed = isGone ? [await holdClosedPort()] : [];
  const goneUrl = `http://127.0.0.1:${closed[0]?.port}`;
  for (const each of present) servers.set(each.name, await each.start());
  for (const { provider: to, reply } of plan.calls) if (reply) servers.get(to.name)?.script(reply);
  const addresses = present.map((each) =>
    each.env(isGone && each === provider ? goneUrl : (servers.get(each.name)?.url ?? '')),
  );
  const settings = { LLM_PROVIDER: provider.name, DOCS_ENABLED: 'false', ENABLE_METRICS: 'false' };
  const service = await startService(
    Object.assign({ LOG_LEVEL: 'silent', ...settings, ...env }, ...addresses),
    { models },
  );
  return {
    service,
    servers,
    async stopProvider() {
      const server = servers.get(provider.name);
      await server?.close();
      closed.push(await holdClosedPort(server?.port));
    },
    async close() {
      for (const port of closed) port.release();
      await service.close();
      await Promise.all([...servers.values()].map((server) => server.close()));
    },
  };
}

/** Asks once and says what came of it. */
export async function runCell(cell: Cell, world: World): Promise<Seen> {
  const { service, servers } = world;
  const stream = await streamChat(service, { message: 'Tell me of a place.', tools: ['calculator'] });
  if (cell.fault.class === 'refused' && cell.position === 'after') {
    await stream.waitFor(({ id, event }) => event === 'content' && id === 2);
    await world.stopProvider();
  }
  const giveUp = new AbortController();
  const ended = await Promise.race([stream.ended, delay(hangMs, giveUp.signal).then(() => undefined)]);
  giveUp.abort();
  if (!ended) stream.abort();
  const { events } = stream;
  const text = contentOf(events);
  const [last, done] = events.slice(-2);
  const run = await getRun(service, stream.runId);
  for (const server of servers.values()) server.verify();
  const asked = [...servers].map(([name, { requests }]) => [
    name,
    requests.map(({ body }) => continuedFrom(body)),
  ]);
  const attempts = run.attempts.map(({ provider, model, outcome }) => `${provider} ${model} ${outcome}`);
  const seen = { text, attempts, continuedFrom: Object.fromEntries(asked) };
  const isEstimated = run.usage.estimated === true;
  if (!ended || done?.event !== 'done') return { ...seen, outcome: 'hang', isEstimated, error: undefined };
  if (last?.event === 'error') {
    const { error_type, retryable } = last.data;
    return { ...seen, outcome: 'error', isEstimated, error: { error_type, retryable } };
  }
  return {
    ...seen,
    outcome: outcomeOf(last?.data ?? {}, seen, namesOf(events)),
    isEstimated,
    error: undefined,
  };
}

/** How a run that completed came to its answer. */
function outcomeOf(
  complete: Record<string, unknown>,
  { attempts, continuedFrom: asked }: Pick<Seen, 'attempts' | 'continuedFrom'>,
  names: string[],
): Seen['outcome'] {
  const isWhole = complete.finish_reason === 'stop' && complete.exit_reason === 'completed';
  if (!isWhole || names.includes('revision')) return 'truncated';
  if (
    Object.values(asked)
      .flat()
      .some((from) => from !== undefined)
  )
    return 'continued';
  const [first] = Object.keys(asked);
  return attempts.at(-1)?.startsWith(`${first} `) ? 'answered' : 'fallback';
}

/** What must be seen. */
export function expected(cell: Cell, plan: Plan): Seen {
  const { calls, outcome, text, isEstimated, error } = plan;
  const present = [cell.provider.name, ...(cell.hasFallback ? [fallbackOf[cell.provider.name]] : [])];
  const asked = present.map((name) => [
    name,
    calls.filter(({ provider, reply }) => reply && provider.name === name).map(({ from }) => from),
  ]);
  return {
    outcome,
    text,
    attempts: calls.map((call) => `${call.provider.name} ${modelOf(call.provider)} ${call.outcome}`),
    isEstimated,
    error,
    continuedFrom: Object.fromEntries(asked),
  };
}
