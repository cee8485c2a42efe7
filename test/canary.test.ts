import { expect, test } from 'vitest';
import { errorStatus } from '../src/core/errors.ts';
import { createCanaries, type Leak } from './canary/canaries.ts';
import { drives } from './canary/drives.ts';
import { faults } from './canary/faults.ts';
import { incidents } from './canary/incidents.ts';
import { places } from './canary/places.ts';
import { saidOf, wrongSettings } from './canary/settings.ts';
import { startWorld, type World } from './canary/world.ts';
import { hasRedis } from './helpers/redis-server.ts';

const described = ({ place, sink, form, excerpt }: Leak) => `${place} → ${sink}, as ${form}: ${excerpt}`;

const authFailures = [
  'audience',
  'claims',
  'expired',
  'forbidden',
  'issuer',
  'malformed',
  'missing',
  'not_yet_valid',
  'replayed',
  'signature',
  'timestamp',
  'unknown_key',
];

/** What spans begin with, of every kind that there is. */
const spanNames = [
  'POST /api/chat',
  'invoke_agent ',
  'upee.evaluate',
  'chat ',
  'execute_tool ',
  'tools/call ',
  'grpc.paf.worker.v1.WorkerAgent/',
];

async function drive(world: World): Promise<World & { metrics: string }> {
  for (const [name, step] of Object.entries({ ...drives, ...faults })) {
    try {
      await step(world);
      for (const fake of [world.openai, world.anthropic, world.bedrock, world.endpoint]) fake.verify();
    } catch (error) {
      throw new Error(`${world.kind}: ${name}`, { cause: error });
    }
  }
  const { text: metrics } = await world.operator.send('getMetrics', '/metrics');
  await world.finish();
  return { ...world, metrics };
}

test('what is private comes out nowhere, whatever is asked and whatever fails', async () => {
  const worlds = await Promise.all([startWorld('closed').then(drive), startWorld('open').then(drive)]);
  const all = await Promise.all(Object.values(incidents).map((incident) => incident()));

  const leaks = [...worlds.flatMap(({ outputs }) => outputs.leaks()), ...all.flatMap((each) => each.leaks)];
  expect.soft([...new Set(leaks.map(described))]).toEqual([]);

  for (const { kind, operations, outputs, parts, metrics } of worlds) {
    const spans = outputs.text(kind === 'open' ? 'spans with texts' : 'spans');
    for (const name of [...spanNames, ...(kind === 'closed' && hasRedis ? ['HGETALL'] : [])])
      expect.soft(spans).toContain(`"name":"${name}`);
    // what nobody looked at was not searched
    expect.soft(outputs.missing(outputs.sinks())).toEqual([]);
    expect.soft(Object.keys(drives).toSorted()).toEqual(operations.toSorted());
    const successes = operations.filter((name) =>
      [...(parts.driven.get(name) ?? [])].some((status) => status < 300),
    );
    expect.soft(successes).toEqual(operations);
    const reasons = metrics.matchAll(/^paf_auth_failures_total\{reason="(\w+)"\} [1-9]/gm);
    expect.soft([...reasons].map(([, reason]) => reason).toSorted()).toEqual(authFailures);
  }
  const used = new Set([
    ...worlds.flatMap(({ canaries }) => canaries.places()),
    ...all.flatMap((each) => each.places),
  ]);
  expect.soft([...used, 'wrong setting'].toSorted()).toEqual(Object.keys(places).toSorted());
  const errors = new Set([
    ...worlds.flatMap(({ parts }) => [...parts.errors]),
    ...all.flatMap((each) => [...each.errors]),
  ]);
  expect.soft([...errors].toSorted()).toEqual(Object.keys(errorStatus).toSorted());
}, 90_000);

test('what is wrong with a setting is said without the secret', () => {
  const canaries = createCanaries();
  let count = 0;
  for (const env of wrongSettings(canaries.at('wrong setting'))) {
    // a wrong path is shown
    if (env.MCP_SERVERS && !env.MCP_SERVERS.includes('{')) continue;
    for (const line of saidOf(env)) {
      count += 1;
      expect(canaries.find('stderr', line), Object.keys(env).join()).toEqual([]);
    }
  }
  expect(count).toBeGreaterThan(100);
});

test('a text is found in whatever form it comes out', () => {
  const canaries = createCanaries();
  const text = canaries.at('message');
  const hex = Buffer.from(text).toString('hex');
  const token = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify({ sub: text })).toString('base64url')}.c2ln`;
  for (const form of [
    `said "${text}"`,
    text.toUpperCase(),
    // cut short, at its beginning or its end
    text.slice(0, -12),
    text.slice(-12),
    JSON.stringify({ a: JSON.stringify({ b: text }) }),
    encodeURIComponent(`a=${text}`),
    `a ${Buffer.from(text).toString('base64')}`,
    Buffer.from(`a${text}`).toString('base64'),
    Buffer.from(`ab${text}`).toString('base64url'),
    hex,
    hex.toUpperCase(),
    hex.replaceAll(/../g, '%$&'),
    hex.replaceAll(/../g, '\\u00$&'),
    [...text].toReversed().join(''),
    JSON.stringify(Buffer.from(text)),
    token,
  ]) {
    expect(canaries.find('log', `before ${form} after`), form).toMatchObject([
      { place: 'message', sink: 'log' },
    ]);
  }
  expect(canaries.find('log', createCanaries().at('message'))).toEqual([]);
});
