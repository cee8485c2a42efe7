import { describe, expect, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { isSampled } from '../../src/pipeline/judge.ts';
import { cancelRun, endOf, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, type SseEvent, startService, streamChat } from '../helpers/service.ts';

type Check = { name: string; passed: boolean; detail: string };
type Answer = {
  content: string;
  exit_reason: string;
  total_tokens: number;
  evaluation: { score: number; passed: boolean; checks: Check[]; revisions: number };
  attempts: { provider: string; model: string; outcome: string }[];
};
type WireBody = {
  messages: { role: string; content: string }[];
  temperature: number;
  tools?: unknown;
  response_format: { type: string; json_schema: { schema: { required: string[] } } };
};

const judged = { UPEE_JUDGE_MODEL: 'fake-model' };
const message = 'Why is the sky blue?';
const ask = { message, effort: 'determined' };
const draft = { text: 'Because of Rayleigh scattering.' };
const verdict = (passed: boolean, mark: number, problems: string[] = []): ScriptedReply => ({
  text: JSON.stringify({
    scores: { addresses_request: 5, correctness: mark, completeness: mark, clarity: 5 },
    problems,
    passed,
  }),
});
const good = verdict(true, 4);
const bad = verdict(false, 2, ['Say why blue light is scattered more.']);

async function post(replies: ScriptedReply[], body: object = ask, env: Record<string, string> = {}) {
  const world = await startChat(replies, { ...judged, ...env });
  const response = await fetch(`${world.service.url}/api/chat`, jsonPost(body));
  return { ...world, answer: (await response.json()) as Answer };
}

const bodyOf = (request: { body: unknown } | undefined) => request?.body as WireBody;
const judgeOf = ({ evaluation }: Answer) => evaluation.checks.find(({ name }) => name === 'judge');
const completeOf = (events: SseEvent[]) => events.at(-2)?.data as unknown as Answer;
const noVerdict = { name: 'judge', passed: true, detail: 'the judge gave no verdict' };

test('an answer of determined effort is judged, and the call is booked', async () => {
  const { fake, answer } = await post([draft, good]);
  expect(judgeOf(answer)).toEqual({
    name: 'judge',
    passed: true,
    detail: 'addresses_request 5, correctness 4, completeness 4, clarity 5',
  });
  expect(answer).toMatchObject({ content: draft.text, evaluation: { score: 1, passed: true, revisions: 0 } });
  expect(answer.attempts).toMatchObject([{ outcome: 'ok' }, { model: 'fake-model', outcome: 'ok' }]);
  const body = bodyOf(fake.requests[1]);
  expect(body).toMatchObject({ temperature: 0, response_format: { type: 'json_schema' } });
  expect(body.tools).toBeUndefined();
  expect(body.response_format.json_schema.schema.required).toEqual(['scores', 'problems', 'passed']);
  expect(body.messages[0]?.content).toContain('addresses_request: it does what was asked');
  expect(body.messages[1]?.content).toBe(
    `<request>\n${message}\n</request>\n\n<answer>\n${draft.text}\n</answer>`,
  );
});

test('the judge says nothing on the stream', async () => {
  const { service } = await startChat([draft, bad], judged);
  const events = await (await streamChat(service, ask)).ended;
  expect(contentOf(events)).toBe(draft.text);
  expect(events.filter(({ event }) => event !== 'content').map(({ event }) => event)).toEqual([
    'complete',
    'done',
  ]);
  expect(judgeOf(completeOf(events))).toEqual({
    name: 'judge',
    passed: false,
    detail:
      'addresses_request 5, correctness 2, completeness 2, clarity 5: Say why blue light is scattered more.',
  });
  expect(completeOf(events).evaluation).toMatchObject({ passed: false, revisions: 0 });
});

test('POST /api/chat revises what the judge finds wrong, and has the revision judged', async () => {
  const better = 'Because of Rayleigh scattering: short waves are scattered more.';
  const { fake, answer } = await post([draft, bad, { text: better }, good]);
  expect(bodyOf(fake.requests[2]).messages.at(-1)?.content).toContain(
    '- Say why blue light is scattered more.',
  );
  expect(bodyOf(fake.requests[3]).messages[1]?.content).toContain(better);
  expect(answer).toMatchObject({ content: better, evaluation: { score: 1, passed: true, revisions: 1 } });
  expect(answer.attempts).toHaveLength(4);
});

test('a revision that the judge likes less is dropped, one that it likes more is kept', async () => {
  const one = { UPEE_MAX_REVISIONS: '1' };
  const worse = await post(
    [draft, bad, { text: 'No idea.' }, verdict(false, 1, ['It is no answer.'])],
    ask,
    one,
  );
  expect(worse.answer).toMatchObject({ content: draft.text, evaluation: { revisions: 0 } });
  const better = await post(
    [draft, bad, { text: 'Short waves scatter.' }, verdict(false, 4, ['Say more.'])],
    ask,
    one,
  );
  expect(better.answer).toMatchObject({
    content: 'Short waves scatter.',
    evaluation: { passed: false, revisions: 1 },
  });
});

describe('a judge that fails never fails the run:', () => {
  test.each<[string, ScriptedReply[]]>([
    ['an error status', [{ fault: 'status:400' }]],
    ['a server that is broken', [{ fault: 'status:500' }, { fault: 'status:500' }, { fault: 'status:500' }]],
    ['no JSON', [{ text: 'The answer is fine.' }]],
    ['nothing', [{}]],
    ['a part of JSON', [{ text: '{"scores": {"addresses_request": 5', finishReason: 'length' }]],
    ['JSON of another form', [{ text: '{"passed": false}' }]],
    ['marks out of range', [verdict(false, 6)]],
    ['a key that is refused', [{ fault: 'status:401' }]],
    ['garbage', [{ text: '\u0000}{"passed":false' }]],
  ])('%s', async (_, replies) => {
    const { answer } = await post([draft, ...replies]);
    expect(answer).toMatchObject({ content: draft.text, exit_reason: 'completed' });
    expect(answer.evaluation).toMatchObject({ score: 1, passed: true, revisions: 0 });
    expect(judgeOf(answer)).toEqual(noVerdict);
  });

  test('a connection that is cut: what was said so far is continued', async () => {
    const [head, tail] = [
      '{"scores":{"addresses_request":5,"correctness":4,',
      '"completeness":4,"clarity":5},"problems":[],"passed":true}',
    ];
    const { answer } = await post([draft, { chunks: [head], fault: 'cut:1' }, { chunks: [tail] }]);
    expect(judgeOf(answer)).toMatchObject({ passed: true, detail: expect.stringContaining('correctness 4') });
  });

  test('silence until the time of the run is up', async () => {
    const { answer, fake } = await post([draft, { fault: 'hang' }], ask, { RUN_TIMEOUT: '1' });
    await fake.waitForAbort();
    expect(answer).toMatchObject({ content: draft.text, evaluation: { passed: true } });
    expect(judgeOf(answer)).toEqual(noVerdict);
  });

  test('a budget that is used up: it is not asked', async () => {
    const { answer, fake } = await post([draft], ask, { MAX_RUN_TOKENS: '700' });
    expect(fake.requests).toHaveLength(1);
    expect(judgeOf(answer)).toEqual(noVerdict);
  });
});

test('a cancelled run aborts the judge', async () => {
  const { service, fake } = await startChat([draft, { fault: 'hang' }], judged);
  const stream = await streamChat(service, ask);
  await fake.waitForRequest(2);
  await cancelRun(service, stream.runId);
  await fake.waitForAbort();
  expect((await endOf(service, stream.runId)).at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'cancelled' },
  });
});

test('other runs are judged by share, none unless set', async () => {
  const plain = { message, effort: 'standard' };
  expect(judgeOf((await post([draft], plain)).answer)).toBeUndefined();
  expect(judgeOf((await post([draft, good], plain, { UPEE_JUDGE_SAMPLE: '1' })).answer)?.passed).toBe(true);
  const runs = Array.from({ length: 4000 }, (_, index) => `run_${index}`);
  expect(runs.filter((id) => isSampled(id, 0))).toEqual([]);
  expect(runs.filter((id) => isSampled(id, 1))).toEqual(runs);
  const share = runs.filter((id) => isSampled(id, 0.25)).length / runs.length;
  expect(share).toBeGreaterThan(0.22);
  expect(share).toBeLessThan(0.28);
  expect(runs.filter((id) => isSampled(id, 0.25) && !isSampled(id, 0.5))).toEqual([]);
});

test('without a judge, or with one that no catalogue has, nothing is judged', async () => {
  expect(judgeOf((await post([draft], ask, { UPEE_JUDGE_MODEL: '' })).answer)).toBeUndefined();
  expect(judgeOf((await post([draft], ask, { UPEE_JUDGE_MODEL: 'no-such-model' })).answer)).toBeUndefined();
});

test('a cut-off answer is judged once it is whole', async () => {
  const { fake, answer } = await post([
    { text: 'Because of', finishReason: 'length' },
    { text: ' Rayleigh scattering.' },
    good,
  ]);
  expect(fake.requests).toHaveLength(3);
  expect(bodyOf(fake.requests[2]).messages[1]?.content).toContain(
    '<answer>\nBecause of Rayleigh scattering.\n</answer>',
  );
  expect(answer.evaluation.passed).toBe(true);
});

test('of a long answer the judge sees the beginning and the end', async () => {
  const text = Array.from({ length: 6000 }, (_, index) => `word${index}`).join(' ');
  const { fake } = await post([{ chunks: [text] }, good]);
  const shown = bodyOf(fake.requests[1]).messages[1]?.content ?? '';
  expect(shown.length).toBeLessThan(17_000);
  expect(shown).toContain('word0 word1');
  expect(shown).toContain('[… left out …]');
  expect(shown).toContain('word5999');
});

test('a caller that names a provider has its answer judged by no other one', async () => {
  const named = { ...ask, provider: 'demo' };
  const { answer, fake } = await post([], named, { DEMO_MODEL: 'true' });
  expect(answer.exit_reason).toBe('completed');
  expect(judgeOf(answer)).toBeUndefined();
  expect(fake.requests).toEqual([]);
  const own = await post([draft, good], { ...ask, provider: 'openai' }, { DEMO_MODEL: 'true' });
  expect(judgeOf(own.answer)?.passed).toBe(true);
});

test('a judge or a planner that no provider has is said at the start', async () => {
  const warned = async (env: Record<string, string>) => {
    const { logs } = await startService(env);
    const warnings = logs.filter(({ level }) => level === 40).map(({ msg }) => String(msg));
    return warnings.filter((text) => !text.startsWith('AUTH_MODE '));
  };
  expect(await warned({ UPEE_JUDGE_MODEL: 'nosuch', UPEE_PLANNER_MODEL: 'none' })).toEqual([
    'UPEE_JUDGE_MODEL is nosuch, which no provider has: it is not used.',
    'UPEE_PLANNER_MODEL is none, which no provider has: it is not used.',
  ]);
  expect(await warned({ UPEE_JUDGE_MODEL: 'demo' })).toEqual([]);
});
