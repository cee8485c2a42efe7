import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createProcesses, hasTaskset, type Processes, scriptPath } from './bench/processes.ts';
import { type Row, ratioOf, toTable } from './bench/report.ts';
import {
  fullSettings,
  measureBursts,
  measureFirstToken,
  measureMemory,
  measurePaced,
  quickSettings,
  type Settings,
  warmUp,
} from './bench/scenarios.ts';
import { createWorld, type Target } from './bench/world.ts';

const usage = `Measures the service against a plain byte pipe before the same fake model server.

Usage: npm run bench -- [options]

  --quick       under 40 seconds instead of 3 minutes
  --pin         keep what is measured on a core of its own (needs taskset)
  --profile     write a CPU profile of the service to .cache/bench-profile
  --pipe-only   leave the service out
  --entry FILE  the built service, default dist/main.js
  --out FILE    default bench-results.json
  --help
`;

const flags = {
  quick: { type: 'boolean', default: false },
  pin: { type: 'boolean', default: false },
  profile: { type: 'boolean', default: false },
  'pipe-only': { type: 'boolean', default: false },
  entry: { type: 'string', default: scriptPath('../../dist/main.js') },
  out: { type: 'string', default: scriptPath('../../bench-results.json') },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Options = {
  settings: Settings;
  isQuick: boolean;
  isPinned: boolean;
  withService: boolean;
  entry: string;
  out: string;
  profileFolder: string | undefined;
};

/** Undefined when help was asked for. Throws with a message for the user. */
function readOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({ args, options: flags, strict: true });
  if (values.help) return undefined;
  const entry = resolve(values.entry);
  const withService = !values['pipe-only'];
  if (withService && !existsSync(entry)) throw new Error(`${entry} is missing: run "npm run build" first`);
  if (values.pin && !hasTaskset) throw new Error('--pin needs taskset, which is not installed');
  return {
    settings: values.quick ? quickSettings : fullSettings,
    isQuick: values.quick,
    isPinned: values.pin,
    withService,
    entry,
    out: resolve(values.out),
    profileFolder: values.profile ? scriptPath('../../.cache/bench-profile') : undefined,
  };
}

const startedAt = performance.now();

function progress(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${line}`);
}

async function measure(processes: Processes, options: Options): Promise<Row[]> {
  const { settings } = options;
  progress('starting the fake LLM, the pipe and the service');
  const world = await createWorld(processes, options);
  const startMeasured = async (): Promise<Target[]> => [
    await world.startPipe(),
    ...(options.withService ? [await world.startService()] : []),
  ];
  const measured = await startMeasured();
  const targets = [world.direct, ...measured];
  progress('warming up');
  await warmUp(world, targets, settings);
  progress('time to first token');
  const rows = await measureFirstToken(world, targets, settings);
  rows.push(...(await measureBursts(world, targets, settings, progress)));
  progress(`100-token answers with 10 ms between tokens, ${settings.pacedConcurrency} at once`);
  rows.push(...(await measurePaced(world, targets, settings)));
  await Promise.all(measured.map((target) => target.stop()));
  progress(`memory of ${settings.slowStreams} slow streams`);
  rows.push(...(await measureMemory(world, await startMeasured(), settings)));
  return rows;
}

/** A dead process breaks requests a moment before its end is known; its own words explain more. */
async function explained<T>(work: Promise<T>, { failure }: Processes): Promise<T> {
  try {
    return await Promise.race([work, failure]);
  } catch (error) {
    await Promise.race([failure, wait(300)]);
    throw error;
  }
}

function writeResults(rows: Row[], { out, isQuick, isPinned, settings }: Options): void {
  const machine = {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model,
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  const results = {
    date: new Date().toISOString(),
    machine,
    isQuick,
    isPinned,
    settings,
    rows: rows.map((row) => ({ ...row, ratio: ratioOf(row) })),
  };
  writeFileSync(out, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`\n${toTable(rows)}\n`);
  console.log(`${machine.cores} cores (${machine.cpu}), Node ${machine.node}${isPinned ? ', pinned' : ''}`);
  console.log(`written to ${out}`);
}

/** Rejects on Ctrl-C, on SIGTERM, and when the time is up. */
function interruption(limitMs: number): Promise<never> {
  const interrupted = Promise.withResolvers<never>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.reject(new Error(`stopped by ${signal}`)));
  }
  setTimeout(() => interrupted.reject(new Error(`not done within ${limitMs / 1000} s`)), limitMs).unref();
  return interrupted.promise;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return;
  }
  const processes = createProcesses();
  try {
    const limit = interruption(options.isQuick ? 60_000 : 180_000);
    const rows = await Promise.race([explained(measure(processes, options), processes), limit]);
    await processes.stopAll();
    writeResults(rows, options);
  } finally {
    await processes.stopAll();
  }
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  // Whatever still waits for a stopped process would keep this one alive.
  process.exit(1);
}
