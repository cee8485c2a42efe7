import type { PipelineEvent } from '../core/events.js';
import { type Message, textOf } from '../core/message.js';
import type { Budget } from '../llm/budget.js';
import type { Model } from '../llm/provider.js';
import type { Router } from '../llm/router.js';
import { askModel } from './ask-model.js';
import type { ChatRequest } from './chat-request.js';
import { toTurns } from './history.js';
import { shorten } from './shorten.js';

export type Step = { title: string; instruction: string };

type PlannerCall = {
  router: Router;
  planner: Model;
  request: ChatRequest;
  mostSteps: number;
  timeoutMs: number;
  budget: Budget;
  /** epoch milliseconds */
  deadlineAt: number;
};

export const leastSteps = 2;
export const mostSteps = 8;
const outputTokens = 2048;
/** Tokens of the parts of a request as the planner sees them. */
const shares = { message: 6000, turn: 1000, file: 300 };
const longestTitle = 120;
const longestInstruction = 4000;

/** The steps that a model writes for a request, or why there are none. Throws only when the run was aborted. */
export async function* writeSteps(
  { router, planner, request, mostSteps: most, timeoutMs, budget, deadlineAt }: PlannerCall,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, { steps: Step[] } | { failure: string }> {
  const messages: Message[] = [
    { role: 'system', content: instructionFor(most) },
    { role: 'user', content: shorten(outlineOf(request), Math.floor(planner.contextWindow / 2)) },
  ];
  const answer = yield* askModel(
    router,
    {
      model: planner,
      messages,
      maxTokens: Math.min(outputTokens, planner.maxOutput),
      responseFormat: { type: 'json_schema', schema: schemaFor(most) },
      timeoutMs,
      budget,
      deadlineAt,
    },
    signal,
  );
  if ('failure' in answer) return answer;
  const steps = readSteps(answer.text, most);
  return steps ? { steps } : { failure: `its answer is no list of ${leastSteps} to ${most} steps` };
}

const instructionFor = (most: number) =>
  [
    'You plan how an assistant answers a request. Write the steps that it works through one after the other:',
    `at least ${leastSteps}, at most ${most}, as few as do. Each step has a short title and an instruction that can be`,
    'followed with the request and the results of the earlier steps at hand. The last step gives the whole answer.',
    'Write in the language of the request. Answer with one JSON value:',
    '{"steps": [{"title": "…", "instruction": "…"}]}. Do not answer the request itself.',
  ].join(' ');

function schemaFor(most: number): Record<string, unknown> {
  const step = {
    type: 'object',
    properties: { title: { type: 'string' }, instruction: { type: 'string' } },
    required: ['title', 'instruction'],
    additionalProperties: false,
  };
  return {
    type: 'object',
    properties: { steps: { type: 'array', minItems: leastSteps, maxItems: most, items: step } },
    required: ['steps'],
    additionalProperties: false,
  };
}

/** What the planner has to know: the request, what came before it, and what there is to work with. */
function outlineOf({ message, files, images, tools, history }: ChatRequest): string {
  const parts = [`The request:\n${shorten(message, shares.message)}`];
  const before = toTurns(history)
    .at(-1)
    ?.messages.map((each) => `${each.role}: ${textOf(each.content)}`);
  if (before) parts.push(`What was said right before it:\n${shorten(before.join('\n'), shares.turn)}`);
  for (const file of files) {
    const lines = `${file.name}, a file of ${file.lineEnd - file.lineStart + 1} lines`;
    parts.push([`Given: ${lines}`, shorten(file.outline, shares.file)].join('\n').trim());
  }
  if (images.length > 0) parts.push(`Given: ${images.length} image(s)`);
  if (tools.length > 0) {
    parts.push(['Tools:', ...tools.map(({ name, description }) => `- ${name}: ${description}`)].join('\n'));
  }
  return parts.join('\n\n');
}

/** The steps of an answer; undefined when they are not what was asked for. */
function readSteps(text: string, most: number): Step[] | undefined {
  const value = parseObject(text);
  if (!isRecord(value) || !Array.isArray(value.steps)) return undefined;
  if (value.steps.length < leastSteps || value.steps.length > most) return undefined;
  const steps = value.steps.flatMap((step: unknown) => {
    if (!isRecord(step)) return [];
    const { title, instruction } = step;
    if (typeof title !== 'string' || typeof instruction !== 'string') return [];
    const cut = {
      title: title.replace(/\s+/g, ' ').trim().slice(0, longestTitle),
      instruction: instruction.trim().slice(0, longestInstruction),
    };
    return cut.title === '' || cut.instruction === '' ? [] : [cut];
  });
  return steps.length === value.steps.length ? steps : undefined;
}

/** A model that is asked for JSON in words likes to put something around it. */
function parseObject(text: string): unknown {
  try {
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
