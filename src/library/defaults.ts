import type { Model } from '../llm/provider.js';
import { type AgentOptions, StatefulAgent } from './agent.js';
import {
  type AgentEventStream,
  type AgentInput,
  type AgentLoopConfig,
  type AgentLoopContext,
  continueLoop,
  runLoop,
} from './agent-loop.js';
import type { LlmContext } from './messages.js';
import { createModelRouter, type ModelRouter } from './model-router.js';
import type { AssistantMessageStream, StreamFn, StreamOptions } from './stream-function.js';

let environment: ModelRouter | undefined;

/** The way to models that the environment describes. */
function defaultRouter(): ModelRouter {
  environment ??= createModelRouter();
  return environment;
}

/** Calls a model once, with the key and address of the environment unless a key is given. It never throws. */
export function streamSimple(
  model: Model,
  context: LlmContext,
  options?: StreamOptions,
): AssistantMessageStream {
  return defaultRouter().stream(model, context, options);
}

/** A conversation with a model and its tools. */
export class Agent extends StatefulAgent {
  constructor(options: AgentOptions = {}) {
    super(options, { streamFn: streamSimple, model: () => defaultRouter().model });
  }
}

/** Adds a message, or several, to the conversation and lets the model and its tools work until they are done. */
export function agentLoop(
  message: AgentInput | AgentInput[],
  context: AgentLoopContext,
  config: AgentLoopConfig,
  signal?: AbortSignal,
  streamFn: StreamFn = streamSimple,
): AgentEventStream {
  return runLoop(message, context, config, signal, streamFn);
}

/** As `agentLoop`, from a conversation that ends with a message of the user or a tool's result. */
export function agentLoopContinue(
  context: AgentLoopContext,
  config: AgentLoopConfig,
  signal?: AbortSignal,
  streamFn: StreamFn = streamSimple,
): AgentEventStream {
  return continueLoop(context, config, signal, streamFn);
}
