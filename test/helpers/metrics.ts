import { expect } from 'vitest';
import { send } from './contract.ts';
import type { TestService } from './service.ts';

type Sample = { name: string; labels: Record<string, string>; value: number };
export type Family = { name: string; help: string; type: string; samples: Sample[] };

export const nameForm = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleForm = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/;
const labelForm = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g;

/** Reads the text format as strictly as a server that scrapes it. */
function parseMetrics(text: string): Family[] {
  expect(text.endsWith('\n')).toBe(true);
  const families: Family[] = [];
  for (const line of text.split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      expect(families.map((family) => family.name)).not.toContain(name);
      families.push({ name, help: rest, type: '', samples: [] });
    } else if (keyword === 'TYPE') {
      expect(families.at(-1)?.name).toBe(name);
      (families.at(-1) as Family).type = rest;
    } else if (line !== '') {
      families.at(-1)?.samples.push(parseSample(line));
    }
  }
  return families;
}

function parseSample(line: string): Sample {
  const [, name = '', labelText = '', value = ''] = sampleForm.exec(line) ?? [];
  expect(name, line).toMatch(nameForm);
  const labels = Object.fromEntries([...labelText.matchAll(labelForm)].map(([, key, text]) => [key, text]));
  expect(labelText.replaceAll(labelForm, ''), line).toBe('');
  expect(value, line).toMatch(/^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]?Inf|NaN)$/i);
  return { name, labels, value: Number(value) };
}

/** What a scraper gets, which must be well-formed. */
export async function scrape(service: TestService): Promise<Family[]> {
  const { status, headers, text } = await send(service, '/metrics');
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseMetrics(text);
}

/** The value of the one series with these labels; 0 when it is not there. */
export function valueIn(families: Family[], name: string, labels: Record<string, string> = {}): number {
  const samples = families.flatMap((family) => family.samples.filter((sample) => sample.name === name));
  const found = samples.filter(
    (sample) => JSON.stringify(sorted(sample.labels)) === JSON.stringify(sorted(labels)),
  );
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0]?.value ?? 0;
}

export const sorted = (labels: Record<string, string>) =>
  Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));

/** All series of a metric as `label values → value`. */
export function seriesOf(families: Family[], name: string): Record<string, number> {
  const samples = families.flatMap((family) => family.samples.filter((sample) => sample.name === name));
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

/** Those that were counted: closed sets of labels are there from the start, at 0. */
export function countsOf(families: Family[], name: string): Record<string, number> {
  return Object.fromEntries(Object.entries(seriesOf(families, name)).filter(([, value]) => value !== 0));
}

/** How many series there are of the service's own: which kinds of garbage collection there were is chance. */
export const seriesCount = (families: Family[]) =>
  families
    .filter(({ name }) => !/^(nodejs|process)_/.test(name))
    .reduce((count, { samples }) => count + samples.length, 0);
