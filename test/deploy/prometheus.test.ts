import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { errorStatus } from '../../src/core/errors.ts';
import { send } from '../helpers/contract.ts';
import { startService } from '../helpers/service.ts';
import { metricsOfExposition, metricsOfExpression } from './metrics-in.ts';
import { driveFaults, driveTraffic, scrapes, startObserved, startScraped } from './observed-service.ts';
import {
  checkMetrics,
  fileOf,
  hasPrometheus,
  patient,
  promtool,
  readRules,
  startPrometheus,
  type Target,
  textOf,
} from './prometheus-server.ts';

type RuleTest = {
  alert_rule_test: { alertname: string; exp_alerts: { exp_labels: object; exp_annotations: object }[] }[];
};

vi.setConfig({ testTimeout: 60_000 });

const rules = readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);
const nameOf = ({ alert = '' }) => alert;

describe.skipIf(!hasPrometheus)('promtool', () => {
  test('takes the configuration and the rules', async () => {
    expect(await promtool('check', 'config', fileOf('prometheus.yml'))).toContain(
      `SUCCESS: ${rules.length} rules found`,
    );
  });

  test('sees each alert fire, with its labels and texts, and stay quiet', async () => {
    expect(await promtool('test', 'rules', fileOf('prometheus-rules.test.yml'))).toContain('SUCCESS');
  });
});

test('each alert has a test that fires it and one that does not', () => {
  const { tests } = parse(textOf('prometheus-rules.test.yml')) as { tests: RuleTest[] };
  const cases = tests.flatMap((each) => each.alert_rule_test);
  const counts = (isFiring: boolean) =>
    cases
      .filter(({ exp_alerts }) => exp_alerts.length > 0 === isFiring)
      .map(({ alertname }) => alertname)
      .toSorted();
  expect(counts(true)).toEqual(alerts.map(nameOf).toSorted());
  expect(counts(false)).toEqual(alerts.map(nameOf).toSorted());
});

test('each alert says how bad it is, what happens and where to read on', () => {
  const headings = [...readDocs().matchAll(/^### (.*)$/gm)].map(([, heading]) => heading);
  for (const { alert = '', labels, annotations } of alerts) {
    expect(['critical', 'warning', 'info'], alert).toContain(labels?.severity);
    expect(Object.keys(annotations ?? {}), alert).toEqual(['summary', 'description', 'runbook_url']);
    expect(annotations?.runbook_url).toBe(`docs/observability.md#${alert.toLowerCase()}`);
    expect(headings, 'docs/observability.md').toContain(alert);
  }
});

test('a failed request is every error of the service but the one of a planned end', () => {
  const ours = Object.entries(errorStatus).flatMap(([type, status]) =>
    status >= 500 && type !== 'shutting_down' ? [type] : [],
  );
  const counting = rules.filter(({ record }) => /^job:paf_(failures|requests):/.test(record ?? ''));
  expect(counting).toHaveLength(8);
  for (const { record, expr } of counting) {
    const [, types = ''] = /paf_errors_total\{type=~"([^"]*)"\}/.exec(expr) ?? [];
    expect(types.split('|').toSorted(), record).toEqual(ours.toSorted());
  }
});

test('the rules name metrics, and labels of them, that the service really has', async () => {
  const service = await startObserved();
  await driveTraffic(service);
  const { text } = await send(service, '/metrics');
  const real = metricsOfExposition(text);
  const recorded = rules.flatMap(({ record }) => record ?? []);
  for (const { alert, record, expr } of rules) {
    for (const { name, labels } of metricsOfExpression(expr)) {
      const of = `${alert ?? record}: ${name}`;
      if (name === 'up' || recorded.includes(name)) continue;
      expect([...real.keys()], of).toContain(name);
      for (const label of labels) expect([...(real.get(name) ?? []), 'job', 'instance'], of).toContain(label);
    }
  }
});

test('the documentation lists the metrics that there are', async () => {
  const service = await startService();
  const { text } = await send(service, '/metrics');
  const real = [...text.matchAll(/^# TYPE ((?:http|paf|gen_ai)_\S+) (\S+)$/gm)];
  const listed = [...readDocs().matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \|/gm)];
  const toPairs = (matches: RegExpExecArray[]) =>
    matches.map(([, name, type]) => `${name} ${type}`).toSorted();
  expect(toPairs(listed)).toEqual(toPairs(real));
});

describe.skipIf(!hasPrometheus)('a real Prometheus', () => {
  test('takes the metrics as they are', async () => {
    const service = await startObserved();
    await driveTraffic(service);
    const { text } = await send(service, '/metrics');
    expect(await checkMetrics(text)).toBe('');
  });

  test('scrapes the service, records, stays quiet in good times and fires when the provider fails', async () => {
    const { service, prometheus } = await startScraped();
    const firing = async () => {
      const names = (await prometheus.firingAlerts()).map(({ alertname = '' }) => alertname);
      return [...new Set(names)].filter((name) => !ofTheMachine.includes(name)).toSorted();
    };
    // one worker and the MCP server are away from the start
    const away = ['PafMcpServerUnavailable', 'PafWorkerUnavailable'];
    await driveTraffic(service);
    // what appears with its first event has a rate from the second one on
    await scrapes(prometheus, 2);
    await driveTraffic(service);
    await scrapes(prometheus, 2);
    expect(await prometheus.query('up == 1')).toHaveLength(1);
    await vi.waitFor(async () => {
      for (const { record } of rules.filter(({ record }) => record !== undefined))
        expect(await prometheus.query(record as string), record).not.toEqual([]);
    }, patient);
    // `for: 0s` also shows a place that was taken for a moment
    await vi.waitFor(async () => expect(await firing()).toEqual(away), patient);

    await driveFaults(service);
    await vi.waitFor(async () => {
      expect(await firing()).toEqual(
        [...away, 'PafAllProvidersDown', 'PafBreakerOpen', 'PafErrorBudgetFastBurn'].toSorted(),
      );
    }, patient);
    expect(await prometheus.firingAlerts()).toContainEqual({
      alertname: 'PafBreakerOpen',
      job: 'paf-core-agent',
      instance: service.url.slice('http://'.length),
      provider: 'openai',
      severity: 'warning',
    });

    await service.close();
    await vi.waitFor(async () => expect(await firing()).toContain('PafTargetDown'), patient);
  });
});

test.skipIf(!hasPrometheus)('METRICS_TOKEN lets in the Prometheus that sends it, and no other', async () => {
  const token = 'metrics-token-of-this-test-0123456789';
  const service = await startService({ METRICS_TOKEN: token });
  const host = service.url.slice('http://'.length);
  const another = 'another-token-of-this-test-0123456789';
  const isUp = async (target: Target) => {
    const prometheus = await startPrometheus(target);
    await scrapes(prometheus, 1);
    return (await prometheus.query('up'))[0]?.value[1];
  };
  const answers = await Promise.all([{ host, token }, { host, token: another }, { host }].map(isUp));
  expect(answers).toEqual(['1', '0', '0']);
});

/** A loaded machine may well have them. */
const ofTheMachine = ['PafEventLoopSlow', 'PafMemoryHigh'];

function readDocs(): string {
  return readFileSync(fileURLToPath(new URL('../../docs/observability.md', import.meta.url)), 'utf8');
}
