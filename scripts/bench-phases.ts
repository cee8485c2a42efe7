import { createCatalog } from '../src/llm/catalog.js';
import { countTokens } from '../src/llm/tokens.js';
import type { ChatRequest } from '../src/pipeline/chat-request.js';
import { evaluateAnswer } from '../src/pipeline/evaluate.js';
import { makePlan, type PlanDeps } from '../src/pipeline/plan.js';
import { understandRequest } from '../src/pipeline/understanding.js';

const usage = `Times Understand, Plan and Evaluate in this process, for messages and answers of 2 KB and of 100 KB.

Usage: npm run bench:phases

Fails when the 99th percentile of the three together is over its goal.
`;

const demands = [
  'Use at most 400 words, do not use any commas, and mention the word "harbour" at least three times.',
  'Answer in exactly 5 bullet points, in English, with a title in double angular brackets (<<title>>).',
  'Write between 10 and 20 sentences, avoid the words "very" and "nice", and end with "That is all."',
  'Bitte höchstens 300 Wörter, keine Kommas, und nenne mindestens zwei Quellen.',
  'Responde en formato JSON con las claves "resumen" y "detalles", sin usar mayúsculas.',
  'How does it work, why does it matter, and who pays for it? Please explain step by step.',
];
const nouns =
  'harbour ship crane sailor cargo tide wind rope light signal captain dock engine map storm'.split(' ');
const verbs = 'moves holds finds lifts turns guides carries watches meets leaves'.split(' ');
const places =
  'near the old pier;on the northern shore;behind the lighthouse;at 7.30 in the morning;in 1987'.split(';');

/** Numbers between 0 and 1, the same ones in every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** Paragraphs of different sentences with numbers, names and lists, until there are so many characters. */
function prose(random: () => number, length: number): string {
  const pick = (list: string[]) => list[Math.floor(random() * list.length)] ?? '';
  const parts: string[] = [];
  for (let size = 0; size < length; size += parts.at(-1)?.length ?? 0) {
    const mark = random() < 0.15 ? '\n\n' : random() < 0.06 ? '\n- ' : ' ';
    const count = Math.floor(random() * 900);
    parts.push(
      `The ${pick(nouns)} ${pick(verbs)} ${count} of the ${pick(nouns)}s ${pick(places)}, and the "${pick(nouns)}" ${pick(verbs)} a ${pick(nouns)}.${mark}`,
    );
  }
  return parts.join('').slice(0, length);
}

function toRequest(message: string): ChatRequest {
  return {
    message,
    files: [],
    images: [],
    history: [],
    model: undefined,
    provider: undefined,
    effort: 'standard',
    isEffortNamed: false,
    temperature: 0.7,
    maxTokens: undefined,
    maxCostUsd: undefined,
    contextWindow: undefined,
    tools: [],
    areToolsNamed: false,
    responseFormat: { type: 'text' },
    mayRevise: false,
  };
}

const providers = ['openai', 'anthropic'];
const deps: PlanDeps = {
  catalog: createCatalog({ providers }),
  providers,
  isUsable: () => true,
  llmMaxTokens: undefined,
  runLimits: { maxCostUsd: undefined, maxTokens: undefined },
  limits: { maxTurns: 10, maxToolCalls: 50, toolTimeoutMs: 120_000 },
  contextThreshold: 0.75,
  plannerModel: () => undefined,
};

const phases = ['understand', 'plan', 'evaluate', 'together'] as const;
type Times = Record<(typeof phases)[number], number>;

function runOnce(message: string, answer: string): Times {
  const request = toRequest(message);
  const started = performance.now();
  const understanding = understandRequest(request);
  const understood = performance.now();
  const { messages } = makePlan(deps, request, understanding);
  const planned = performance.now();
  const [system] = messages;
  evaluateAnswer({
    answer,
    finishReason: 'stop',
    exitReason: 'completed',
    constraints: understanding.constraints,
    responseFormat: request.responseFormat,
    message,
    reading: understanding,
    history: [],
    files: [],
    hasImages: false,
    systemPrompt: typeof system?.content === 'string' ? system.content : '',
    turns: [],
  });
  const ended = performance.now();
  return {
    understand: understood - started,
    plan: planned - understood,
    evaluate: ended - planned,
    together: ended - started,
  };
}

function percentile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** How many times the runs may be left out before the machine is too busy to tell anything. */
const mostLeftOut = 8;

type Size = { name: string; length: number; runs: number; goalMs: number };

const sizes: Size[] = [
  { name: '2 KB', length: 2000, runs: 1500, goalMs: 5 },
  { name: '100 KB', length: 100_000, runs: 400, goalMs: 20 },
];

function interruptions(): number {
  return process.resourceUsage().involuntaryContextSwitches;
}

/**
 * Every run has a message and an answer of its own, so that nothing is found in a cache. A run during which another process
 * took the core says nothing of ours: it is left out and made again, and counted.
 */
function measure({ name, length, runs, goalMs }: Size): boolean {
  const random = createRandom(length);
  const times: Times[] = [];
  const warmUps = Math.ceil(runs / 4);
  let leftOut = 0;
  for (let run = 0; times.length < runs && leftOut < runs * mostLeftOut; run++) {
    const demand = demands[run % demands.length] ?? '';
    const text = prose(random, length - demand.length - 30);
    const message = run % 2 === 0 ? `${demand}\n\n${text}` : `Write about this harbour. ${text}\n\n${demand}`;
    const answer = prose(random, length);
    const before = interruptions();
    const measured = runOnce(message, answer);
    if (run < warmUps) continue;
    if (interruptions() === before) times.push(measured);
    else leftOut++;
  }
  console.log(
    `${name}: ${times.length} runs, ${leftOut} more left out because another process interrupted them`,
  );
  for (const phase of phases) {
    const sorted = times.map((one) => one[phase]).sort((left, right) => left - right);
    const row = [0.5, 0.99, 1].map((share) => `${percentile(sorted, share).toFixed(2)} ms`.padStart(11));
    console.log(`${name.padEnd(8)}${phase.padEnd(12)}${row.join('')}`);
  }
  const together = times.map((one) => one.together).sort((left, right) => left - right);
  const isMet = times.length === runs && percentile(together, 0.99) < goalMs;
  console.log(`${name.padEnd(8)}goal: p99 under ${goalMs} ms ${isMet ? 'met' : 'MISSED'}\n`);
  return isMet;
}

if (process.argv.includes('--help')) {
  process.stdout.write(usage);
} else {
  // the encoding takes a moment to load, once for the process
  countTokens('a');
  console.log(`${' '.repeat(20)}${['p50', 'p99', 'max'].map((head) => head.padStart(11)).join('')}`);
  const results = sizes.map(measure);
  if (results.includes(false)) process.exitCode = 1;
}
