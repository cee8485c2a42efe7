import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePort } from '../helpers/mcp.ts';

/** Tests that need Prometheus are left out where it is not installed; scripts/test.sh says so, and installs it where it may. */
export const hasPrometheus = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
);

const folder = fileURLToPath(new URL('../../deploy/observability/', import.meta.url));
export const fileOf = (name: string) => join(folder, name);
export const textOf = (name: string) => readFileSync(fileOf(name), 'utf8');

export type Rule = {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};
export type RuleGroup = { name: string; rules: Rule[] };

const readGroups = () => (parse(textOf('prometheus-rules.yml')) as { groups: RuleGroup[] }).groups;
export const readRules = () => readGroups().flatMap(({ rules }) => rules);

export type Sample = { metric: Record<string, string>; value: [time: number, value: string] };

export type Prometheus = {
  /** The series of an instant query now; throws Prometheus' own words when it cannot be read. */
  query(expression: string): Promise<Sample[]>;
  firingAlerts(): Promise<Record<string, string>[]>;
};

/** Runs promtool; resolves with what it said, rejects when it found something. */
export function promtool(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('promtool', args, (error, stdout, stderr) => {
      if (error) reject(new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`));
      else resolve(stdout + stderr);
    });
  });
}

/** What promtool has to say against metrics. */
export function checkMetrics(text: string): string {
  const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  return stdout + stderr;
}

/** Where the scraped service is, and what it asks for. */
export type Target = { host: string; token?: string };

/** Short, so that a few seconds hold enough scrapes for rates. */
const interval = '250ms';

export const patient = { timeout: 20_000, interval: 100 };

/**
 * A real Prometheus with the configuration and rules of deploy/observability, on a free port until the test ends. What is
 * not theirs: the target, its token, the intervals, and that alerts fire as soon as their expression holds (`for: 0s`).
 */
export async function startPrometheus({ host, token }: Target): Promise<Prometheus> {
  const place = mkdtempSync(join(tmpdir(), 'prometheus-'));
  onTestFinished(() => rmSync(place, { recursive: true, force: true, maxRetries: 5 }));
  writeConfig(place, { host, ...(token === undefined ? {} : { token }) });
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(place, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(place, 'data')}`,
      `--web.listen-address=${url.slice('http://'.length)}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  await vi.waitFor(async () => {
    if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`);
    if (!(await fetch(`${url}/-/ready`)).ok) throw new Error(`prometheus is not ready: ${said}`);
  }, patient);
  return connect(url);
}

function writeConfig(place: string, { host, token }: Target): void {
  const config = parse(textOf('prometheus.yml'));
  config.global = { scrape_interval: interval, evaluation_interval: interval };
  const [job] = config.scrape_configs;
  job.static_configs[0].targets = [host];
  if (token !== undefined) job.authorization = { credentials: token };
  const groups = readGroups().map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => (rule.alert === undefined ? rule : { ...rule, for: '0s' })),
  }));
  mkdirSync(join(place, 'data'));
  writeFileSync(join(place, 'prometheus.yml'), stringify(config));
  writeFileSync(join(place, 'prometheus-rules.yml'), stringify({ groups }));
}

function connect(url: string): Prometheus {
  async function ask<Data>(path: string, parameters: Record<string, string> = {}): Promise<Data> {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const answer = (await response.json()) as { status: string; data: Data; error?: string };
    if (answer.status !== 'success') throw new Error(`${answer.error} in ${parameters.query}`);
    return answer.data;
  }
  return {
    query: async (query) => (await ask<{ result: Sample[] }>('query', { query })).result,
    async firingAlerts() {
      const { alerts } = await ask<{ alerts: { labels: Record<string, string>; state: string }[] }>('alerts');
      return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels);
    },
  };
}
