import { setTimeout as wait } from 'node:timers/promises';
import type { LoadResult } from './load.ts';
import { cpuMs, quantile, rssKib } from './measure.ts';
import type { Row } from './report.ts';
import type { Target, TargetName, World } from './world.ts';

export type Settings = {
  warmUpMs: number;
  /** requests per target for the time to first token, in batches of 20 */
  latencyBatches: number;
  burstMs: number;
  /** the targets take turns, so that a slow moment of the machine meets all of them */
  burstRounds: number;
  burstConcurrencies: number[];
  pacedMs: number;
  pacedConcurrency: number;
  slowStreams: number;
  /** seconds that the slow streams stay open */
  slowTokens: number;
};

export const fullSettings: Settings = {
  warmUpMs: 3000,
  latencyBatches: 20,
  burstMs: 4000,
  burstRounds: 4,
  burstConcurrencies: [1, 16, 64],
  pacedMs: 5000,
  pacedConcurrency: 64,
  slowStreams: 1000,
  slowTokens: 14,
};

export const quickSettings: Settings = {
  ...fullSettings,
  warmUpMs: 700,
  latencyBatches: 6,
  burstMs: 900,
  burstRounds: 2,
  pacedMs: 1200,
  slowTokens: 5,
};

export type Progress = (line: string) => void;

type Answer = { tokens: number; delayMs: number };

function jobFor(target: Target, { tokens, delayMs }: Answer) {
  const { origin, path, deltaMark, endMarks } = target;
  const body = target.body(`Tell me about streams. /tokens ${tokens} /delay ${delayMs}`);
  return { origin, path, deltaMark, endMarks, body, deltasPerAnswer: tokens };
}

const burst: Answer = { tokens: 100, delayMs: 0 };
const paced: Answer = { tokens: 100, delayMs: 10 };
const short: Answer = { tokens: 3, delayMs: 3 };

export async function warmUp(world: World, targets: Target[], { warmUpMs }: Settings): Promise<void> {
  for (const target of targets) {
    await world.load({ ...jobFor(target, burst), concurrency: 16, durationMs: warmUpMs });
  }
}

/** One request at a time, in turns as well. */
export async function measureFirstToken(world: World, targets: Target[], settings: Settings): Promise<Row[]> {
  const times = new Map<TargetName, number[]>(targets.map(({ name }) => [name, []]));
  for (let batch = 0; batch < settings.latencyBatches; batch += 1) {
    for (const target of targets) {
      const job = { ...jobFor(target, short), concurrency: 1, maxRequests: 20 };
      times.get(target.name)?.push(...(await world.load(job)).firstTokenMs);
    }
  }
  const direct = times.get('direct') ?? [];
  return [0.5, 0.99].map((share) => ({
    name: `added time to first token, p${share * 100}`,
    unit: 'ms',
    values: byTarget(targets, ({ name }) => {
      const time = quantile(times.get(name) ?? [], share);
      return name === 'direct' ? undefined : time - quantile(direct, share);
    }),
  }));
}

/** 100-token answers as fast as they come. */
export async function measureBursts(
  world: World,
  targets: Target[],
  settings: Settings,
  progress: Progress,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const concurrency of settings.burstConcurrencies) {
    progress(`100-token answers without a pause, ${concurrency} at once`);
    const options = { concurrency, durationMs: settings.burstMs, rounds: settings.burstRounds };
    rows.push(...(await measureThroughput(world, targets, burst, options, `${concurrency} at once`)));
  }
  return rows;
}

/** 100-token answers with 10 ms between tokens, as a model writes them. */
export async function measurePaced(world: World, targets: Target[], settings: Settings): Promise<Row[]> {
  const { pacedConcurrency: concurrency, pacedMs: durationMs } = settings;
  const options = { concurrency, durationMs, rounds: 1, rampMs: 500 };
  return measureThroughput(world, targets, paced, options, `paced, ${concurrency} at once`);
}

type LoadOptions = { concurrency: number; durationMs: number; rounds: number; rampMs?: number };
/** `cpuMs` is NaN where it cannot be read. */
type Throughput = LoadResult & { cpuMs: number };

async function measureThroughput(
  world: World,
  targets: Target[],
  answer: Answer,
  { rounds, durationMs, ...options }: LoadOptions,
  label: string,
): Promise<Row[]> {
  const results = new Map<TargetName, Throughput>();
  for (let round = 0; round < rounds; round += 1) {
    for (const target of targets) {
      const before = cpuMs(target.pid) ?? Number.NaN;
      const job = { ...jobFor(target, answer), ...options, durationMs: durationMs / rounds };
      const result = await world.load(job);
      const used = (cpuMs(target.pid) ?? Number.NaN) - before;
      results.set(target.name, sum(results.get(target.name), { ...result, cpuMs: used }));
    }
  }
  const row = (name: string, unit: string, value: (result: Throughput) => number | undefined): Row => ({
    name: `${name}, ${label}`,
    unit,
    values: byTarget(targets, (target) => {
      const result = results.get(target.name);
      return result && value(result);
    }),
  });
  const perSecond = (count: number, { elapsedMs }: Throughput) => (count / elapsedMs) * 1000;
  return [
    row('answers', '/s', (result) => perSecond(result.requests, result)),
    row('deltas', '/s', (result) => perSecond(result.deltas, result)),
    row('CPU for 1,000 deltas', 'ms', ({ cpuMs, deltas }) => (cpuMs / deltas) * 1000),
    row('time to first token, p50', 'ms', (result) => quantile(result.firstTokenMs, 0.5)),
    row('time to first token, p99', 'ms', (result) => quantile(result.firstTokenMs, 0.99)),
  ];
}

function sum(left: Throughput | undefined, right: Throughput): Throughput {
  if (left === undefined) return right;
  return {
    requests: left.requests + right.requests,
    deltas: left.deltas + right.deltas,
    elapsedMs: left.elapsedMs + right.elapsedMs,
    firstTokenMs: [...left.firstTokenMs, ...right.firstTokenMs],
    cpuMs: left.cpuMs + right.cpuMs,
  };
}

/** Fresh processes, so that memory freed by earlier load hides nothing. All targets at once: it is not about time. */
export async function measureMemory(world: World, targets: Target[], settings: Settings): Promise<Row[]> {
  const sizes = new Map<TargetName, number | undefined>();
  await Promise.all(
    targets.map(async (target) => sizes.set(target.name, await memoryPerStream(world, target, settings))),
  );
  return [
    {
      name: `memory for an open stream, ${settings.slowStreams} at 1 token/s`,
      unit: 'KiB',
      values: byTarget(targets, ({ name }) => sizes.get(name)),
    },
  ];
}

const rampMs = 1500;

async function memoryPerStream(
  world: World,
  target: Target,
  settings: Settings,
): Promise<number | undefined> {
  const { slowStreams, slowTokens } = settings;
  await world.load({ ...jobFor(target, burst), concurrency: 16, maxRequests: 64 });
  const idle = rssKib(target.pid);
  const streams = world.load({
    ...jobFor(target, { tokens: slowTokens, delayMs: 1000 }),
    concurrency: slowStreams,
    maxRequests: slowStreams,
    rampMs,
  });
  const sampling = sampleRss(target.pid, (slowTokens - 1) * 1000);
  await Promise.all([streams, sampling]);
  const samples = await sampling;
  if (idle === undefined || samples.length === 0) return undefined;
  return (quantile(samples, 0.5) - idle) / slowStreams;
}

/** Sizes while every stream is open: after the ramp, before the first one ends. */
async function sampleRss(pid: number, openMs: number): Promise<number[]> {
  const samples: number[] = [];
  await wait(rampMs + 500);
  for (let waited = rampMs + 500; waited < openMs; waited += 250) {
    const size = rssKib(pid);
    if (size !== undefined) samples.push(size);
    await wait(250);
  }
  return samples;
}

function byTarget(
  targets: Target[],
  value: (target: Target) => number | undefined,
): Partial<Record<TargetName, number>> {
  const pairs = targets.flatMap((target) => {
    const found = value(target);
    return found === undefined || Number.isNaN(found) ? [] : [[target.name, found] as const];
  });
  return Object.fromEntries(pairs);
}
