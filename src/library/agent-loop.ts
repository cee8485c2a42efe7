import { type AgentLimits, type AgentRequest, runAgent } from '../agent/run-agent.js';
import { everyRole } from '../core/caller.js';
import type * as core from '../core/message.js';
import type { MessageQueue } from '../core/message-queue.js';
import type { Budget } from '../llm/budget.js';
import type { Model } from '../llm/provider.js';
import type { AgentTool } from '../tools/define-tool.js';
import type { Tool } from '../tools/tool.js';
import type { AgentEvent } from './agent-events.js';
import { toTool } from './agent-tool.js';
import { convertToLlm } from './convert-to-llm.js';
import type { AgentMessage, ThinkingLevel } from './messages.js';
import type { StreamFn, StreamOptions } from './stream-function.js';
import { createStreamRouter } from './stream-router.js';
import { type LoopRun, translateRun } from './translate-run.js';

export type AgentLoopContext = {
  systemPrompt: string;
  messages: AgentMessage[];
  tools?: (AgentTool | Tool)[];
};

export type AgentLoopConfig = {
  model: Model;
  /** Default: leaves out what is for no model, and turns attachments of user messages into content. */
  convertToLlm?: (messages: AgentMessage[]) => AgentMessage[] | Promise<AgentMessage[]>;
  /** Prunes, sums up or adds, for the next call to the model only. */
  transformContext?: (
    messages: AgentMessage[],
    signal?: AbortSignal,
  ) => Promise<AgentMessage[]> | AgentMessage[];
  /** Asked before each call to the model, since keys may expire. */
  getApiKey?: (provider: string) => Promise<string | undefined> | string | undefined;
  apiKey?: string;
  reasoning?: ThinkingLevel;
  temperature?: number;
  maxTokens?: number;
  /** enters before the next call to the model; calls of tools that are not yet started are skipped */
  steering?: MessageQueue<AgentMessage>;
  /** enters when the model would otherwise be done */
  followUp?: MessageQueue<AgentMessage>;
  /** default: no limit */
  maxTurns?: number;
  /** default: no limit */
  maxToolCalls?: number;
  /** milliseconds that a tool may be silent; default: no limit */
  toolTimeoutMs?: number;
};

/** The events of a run as they come, and the messages that it added: `result` reads what is left of it. */
export type AgentEventStream = AsyncIterable<AgentEvent> & { result(): Promise<AgentMessage[]> };

/** A message as a program may write it down without naming its type. */
export type AgentInput = AgentMessage | { role: string; content: string; timestamp: number };

const noCap: Budget = { affordableTokens: () => Number.POSITIVE_INFINITY, book() {} };

/** Whoever runs an agent in their own program may use its tools. */
const caller = { tenant: 'default', subject: 'library', roles: [everyRole] };

/** Adds a message, or several, to the conversation and lets the model and its tools work until they are done. It never throws. */
export function runLoop(
  message: AgentInput | AgentInput[],
  context: AgentLoopContext,
  config: AgentLoopConfig,
  signal: AbortSignal | undefined,
  streamFn: StreamFn,
): AgentEventStream {
  const ended = new AbortController();
  const messages = [message].flat() as AgentMessage[];
  const both = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  const conversation = [...context.messages, ...messages];
  const router = createStreamRouter({
    streamFn,
    model: config.model,
    systemPrompt: context.systemPrompt,
    toOptions: () => toOptions(config),
  });
  const run: LoopRun = {
    model: config.model,
    prompts: messages,
    conversation,
    lastMessage: () => router.last,
    stop: () => ended.abort(),
  };
  const request = toRequest(context, config, conversation);
  return toEventStream(translateRun(run, runAgent(router, toLimits(config), request, both), both));
}

/** As `runLoop`, from a conversation that ends with what the model is to answer. Throws when it does not. */
export function continueLoop(
  context: AgentLoopContext,
  config: AgentLoopConfig,
  signal: AbortSignal | undefined,
  streamFn: StreamFn,
): AgentEventStream {
  const last = context.messages.at(-1);
  if (!last) throw new Error('There is nothing to continue: the conversation has no message.');
  if (last.role === 'assistant') {
    throw new Error(`There is nothing to continue: the last message is the assistant's.`);
  }
  return runLoop([], context, config, signal, streamFn);
}

function toRequest(
  context: AgentLoopContext,
  config: AgentLoopConfig,
  conversation: AgentMessage[],
): AgentRequest<AgentMessage> {
  const { transformContext, convertToLlm: convert = convertToLlm } = config;
  return {
    runId: `run_${crypto.randomUUID().replaceAll('-', '')}`,
    caller,
    candidates: [config.model],
    messages: [],
    tools: (context.tools ?? []).map(toTool),
    maxTokens: Number.POSITIVE_INFINITY,
    responseFormat: { type: 'text' },
    effort: 'standard',
    budget: noCap,
    countTokens: () => 0,
    deadlineAt: Number.POSITIVE_INFINITY,
    steering: config.steering,
    followUp: config.followUp,
    hooks: {
      // the conversation as it is kept here has what the loop does not know: times, usage, how each answer ended
      async transformContext(_messages, signal) {
        return transformContext ? transformContext([...conversation], signal) : [...conversation];
      },
      convertToLlm: async (messages) => (await convert(messages as AgentMessage[])) as core.Message[],
    },
    isPerMessage: true,
  };
}

function toLimits({ maxTurns, maxToolCalls, toolTimeoutMs }: AgentLoopConfig): AgentLimits {
  return {
    maxTurns: maxTurns ?? Number.POSITIVE_INFINITY,
    maxToolCalls: maxToolCalls ?? Number.POSITIVE_INFINITY,
    toolTimeoutMs: toolTimeoutMs ?? Number.POSITIVE_INFINITY,
  };
}

async function toOptions(config: AgentLoopConfig): Promise<StreamOptions> {
  const { reasoning, temperature, maxTokens } = config;
  const apiKey = (await config.getApiKey?.(config.model.provider)) ?? config.apiKey;
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(reasoning === undefined || reasoning === 'off' ? {} : { reasoning }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
  };
}

function toEventStream(events: AsyncGenerator<AgentEvent, void>): AgentEventStream {
  let added: AgentMessage[] | undefined;
  async function* watched() {
    for await (const event of events) {
      if (event.type === 'agent_end') added = event.messages;
      yield event;
    }
  }
  const stream = watched();
  return {
    [Symbol.asyncIterator]: () => stream,
    async result() {
      for await (const _ of stream);
      if (!added) throw new Error('The run was not read to its end.');
      return added;
    },
  };
}
