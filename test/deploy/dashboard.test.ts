import { describe, expect, test, vi } from 'vitest';
import { send } from '../helpers/contract.ts';
import { metricsOfExposition, metricsOfExpression } from './metrics-in.ts';
import { driveTraffic, scrapes, startObserved, startScraped } from './observed-service.ts';
import { hasPrometheus, type Prometheus, patient, readRules, textOf } from './prometheus-server.ts';

vi.setConfig({ testTimeout: 60_000 });

type Target = { expr: string; legendFormat: string; datasource: { uid: string } };
type Panel = {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { uid: string };
  targets?: Target[];
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig?: {
    defaults: { unit?: string; thresholds: { steps: { value: number | null }[] } };
  };
};
type Variable = { name: string; type: string; query: string | { query: string } };

const dashboard = JSON.parse(textOf('grafana-dashboard.json')) as {
  id: null;
  panels: Panel[];
  templating: { list: Variable[] };
};
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = charts.flatMap((panel) => (panel.targets ?? []).map((target) => ({ panel, ...target })));
const rules = readRules();
const alerts = new Map(
  rules.flatMap((rule) => (rule.alert === undefined ? [] : [[rule.alert, rule] as const])),
);

/** What Grafana puts in place of its variables. */
const filledIn = (expression: string) =>
  expression
    .replaceAll('$job', 'paf-core-agent')
    .replaceAll('$instance', '.*')
    .replaceAll('$__rate_interval', '1m');

test('panels have an id, a place, a unit and a description of their own', () => {
  expect(dashboard.id).toBeNull();
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  expect(new Set(dashboard.panels.map(({ title }) => title)).size).toBe(dashboard.panels.length);
  const cells = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        if (cells.has(`${x} ${y}`)) expect.fail(`${title} covers another panel at ${x}, ${y}`);
        cells.add(`${x} ${y}`);
      }
    }
  }
  for (const { title, description, fieldConfig } of charts) {
    expect(description, title).toMatch(/\.$/);
    expect(fieldConfig?.defaults.unit, title).toMatch(/^\w+$/);
  }
});

test('the data source is the one that is chosen on import', () => {
  expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
  const chosen = `\${datasource}`;
  for (const { panel, datasource } of targets)
    expect([panel.datasource?.uid, datasource.uid], panel.title).toEqual([chosen, chosen]);
  expect(textOf('grafana-dashboard.json')).not.toMatch(/"(iteration|gnetId|pluginVersion|orgId)"/);
});

/** The number that the first comparison of an alert is with; undefined where it is with one of the limits, or with none. */
function boundOf(expression: string): number | undefined {
  const [, text] = /(?:>=|>|<)\s*([\d.]+(?:\s*\*\s*[\d.]+)?)/.exec(expression) ?? [];
  if (text === undefined || /^scalar/.test(/(?:>=|>|<)\s*(\S+)/.exec(expression)?.[1] ?? ''))
    return undefined;
  const product = text.split('*').reduce((result, factor) => result * Number(factor), 1);
  return Number(product.toPrecision(10));
}

test('the lines in the panels are the bounds of the alerts that they name, and each alert has a panel', () => {
  const named = new Set<string>();
  for (const { title, description = '', targets: queries = [], fieldConfig } of charts) {
    const names = description.match(/Paf\w+/g) ?? [];
    for (const name of names) named.add(name);
    const expressions = names.map((name) => alerts.get(name)?.expr ?? expect.fail(`${title} names ${name}`));
    const bounds = expressions.map(boundOf).filter((bound) => bound !== undefined && bound > 0);
    const lines = fieldConfig?.defaults.thresholds.steps.flatMap(({ value }) => value ?? []) ?? [];
    if (names.length > 0 && bounds.length > 0) expect(lines, title).toEqual([...new Set(bounds)].toSorted());
    const limits = expressions.flatMap((expression) => /scalar\((\S+)\)/.exec(expression)?.[1] ?? []);
    for (const limit of limits)
      expect(
        queries.map(({ expr }) => expr),
        title,
      ).toContain(limit);
  }
  expect([...named].toSorted()).toEqual([...alerts.keys()].toSorted());
});

test('panels ask for metrics, and labels of them, that the service or the rules really have', async () => {
  const service = await startObserved();
  await driveTraffic(service);
  const real = metricsOfExposition((await send(service, '/metrics')).text);
  const recorded = rules.flatMap(({ record }) => record ?? []);
  const asked = new Set(rules.flatMap(({ expr }) => metricsOfExpression(expr).map(({ name }) => name)));
  for (const { panel, expr } of targets) {
    for (const { name, labels } of metricsOfExpression(filledIn(expr))) {
      asked.add(name);
      if (['up', 'ALERTS'].includes(name) || recorded.includes(name)) continue;
      expect([...real.keys()], panel.title).toContain(name);
      for (const label of labels)
        expect([...(real.get(name) ?? []), 'job', 'instance'], `${panel.title}: ${name}`).toContain(label);
    }
  }
  const unasked = [...real.keys()].filter(
    (name) => /^(paf|gen_ai)_/.test(name) && !/_(bucket|sum)$/.test(name) && !asked.has(name),
  );
  // of histograms the buckets are asked for
  expect(unasked.filter((name) => !asked.has(name.replace(/_count$/, '_bucket')))).toEqual([]);
});

describe.skipIf(!hasPrometheus)('over a scraped service', () => {
  test('each query is answered with the labels of its legend', async () => {
    const { service, prometheus } = await startScraped();
    await driveTraffic(service);
    await scrapes(prometheus, 2);
    await driveTraffic(service);
    await scrapes(prometheus, 2);
    await vi.waitFor(async () => expect(await emptyPanels(prometheus)).toEqual(whenAllIsWell), patient);
    for (const { panel, expr, legendFormat } of targets) {
      const query = filledIn(expr);
      const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      for (const { metric } of await prometheus.query(query))
        expect(Object.keys(metric), `${panel.title}: ${expr}`).toEqual(expect.arrayContaining(legend));
    }
  });
});

/** Panels of which a query shows only what is not zero. */
const whenAllIsWell = ['Callers turned away, in 5 minutes'];

/** The panels of which a query finds nothing. */
async function emptyPanels(prometheus: Prometheus): Promise<string[]> {
  const empty: string[] = [];
  for (const { panel, expr } of targets)
    if ((await prometheus.query(filledIn(expr))).length === 0) empty.push(panel.title);
  return empty;
}
