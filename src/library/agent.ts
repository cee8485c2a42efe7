import type { ImageContent } from '../core/message.js';
import { createMessageQueue, type QueueMode } from '../core/message-queue.js';
import type { Model } from '../llm/provider.js';
import type { AgentTool } from '../tools/define-tool.js';
import type { Tool } from '../tools/tool.js';
import type { AgentEvent } from './agent-events.js';
import { type AgentInput, type AgentLoopConfig, continueLoop, runLoop } from './agent-loop.js';
import type { AgentMessage, ThinkingLevel, UserMessage } from './messages.js';
import type { StreamFn } from './stream-function.js';

export type AgentState = {
  systemPrompt: string;
  model: Model;
  thinkingLevel: ThinkingLevel;
  tools: (AgentTool | Tool)[];
  messages: AgentMessage[];
  isStreaming: boolean;
  /** the answer as far as it has come; null between answers */
  streamMessage: AgentMessage | null;
  /** ids of the tool calls at work */
  pendingToolCalls: Set<string>;
  /** what went wrong in the latest run */
  error?: string;
};

export type AgentOptions = {
  initialState?: Partial<AgentState>;
  /** whether all queued messages enter at once; default: one at a time */
  queueMode?: QueueMode;
  /** calls the model; default: `streamSimple` */
  streamFn?: StreamFn;
} & Pick<
  AgentLoopConfig,
  | 'convertToLlm'
  | 'transformContext'
  | 'getApiKey'
  | 'temperature'
  | 'maxTokens'
  | 'maxTurns'
  | 'maxToolCalls'
  | 'toolTimeoutMs'
>;

type Listener = (event: AgentEvent) => void;
type Run = { controller: AbortController; ended: Promise<void> };

/** What an agent has where its options name none: where the first call goes, and which model is asked. */
export type AgentDefaults = { streamFn: StreamFn | undefined; model: () => Model };

/** A conversation with a model and its tools, one run at a time. What goes wrong in a run is in its state, not thrown. */
export class StatefulAgent {
  readonly #options: AgentOptions;
  readonly #defaults: AgentDefaults;
  readonly #state: Omit<AgentState, 'model'> & { model: Model | undefined };
  readonly #listeners = new Set<Listener>();
  readonly #steering = createMessageQueue<AgentMessage>();
  readonly #followUp = createMessageQueue<AgentMessage>();
  #run: Run | undefined;

  constructor(options: AgentOptions, defaults: AgentDefaults) {
    this.#options = options;
    this.#defaults = defaults;
    const { initialState = {} } = options;
    this.#state = {
      systemPrompt: '',
      model: undefined,
      thinkingLevel: 'off',
      ...initialState,
      tools: [...(initialState.tools ?? [])],
      messages: [...(initialState.messages ?? [])],
      isStreaming: false,
      streamMessage: null,
      pendingToolCalls: new Set(),
    };
    this.setQueueMode(options.queueMode ?? 'one-at-a-time');
  }

  get state(): AgentState {
    this.#state.model ??= this.#defaults.model();
    return this.#state as AgentState;
  }

  /** Returns what ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolves when the run has ended, however it did. Rejects when one is under way already. */
  async prompt(message: AgentInput | AgentInput[]): Promise<void>;
  async prompt(text: string, images?: ImageContent[]): Promise<void>;
  async prompt(input: string | AgentInput | AgentInput[], images: ImageContent[] = []): Promise<void> {
    const messages = typeof input === 'string' ? [toUserMessage(input, images)] : [input].flat();
    await this.#start((signal) => runLoop(messages, this.state, this.#toConfig(), signal, this.#streamFn));
  }

  /** Lets the model answer to the last message, which must be the user's or a tool's result. */
  async continue(): Promise<void> {
    await this.#start((signal) => continueLoop(this.state, this.#toConfig(), signal, this.#streamFn));
  }

  /** Stops the run; what came so far stays. */
  abort(): void {
    this.#run?.controller.abort();
  }

  async waitForIdle(): Promise<void> {
    await this.#run?.ended;
  }

  /** Stops the run and forgets the conversation and what waits to enter it. */
  reset(): void {
    this.abort();
    this.#run = undefined;
    this.clearMessageQueue();
    this.#state.messages = [];
    this.#settle();
    delete this.#state.error;
  }

  /** Enters before the next call to the model; running tools finish, and calls not yet started are skipped. */
  queueMessage(message: AgentInput): void {
    this.#steering.push(message as AgentMessage);
  }

  steer(message: AgentInput): void {
    this.queueMessage(message);
  }

  /** Enters when the model would otherwise be done. */
  followUp(message: AgentInput): void {
    this.#followUp.push(message as AgentMessage);
  }

  clearMessageQueue(): void {
    this.#steering.clear();
    this.#followUp.clear();
  }

  setQueueMode(mode: QueueMode): void {
    this.#steering.mode = mode;
    this.#followUp.mode = mode;
  }

  setSystemPrompt(systemPrompt: string): void {
    this.#state.systemPrompt = systemPrompt;
  }

  setModel(model: Model): void {
    this.#state.model = model;
  }

  setThinkingLevel(level: ThinkingLevel): void {
    this.#state.thinkingLevel = level;
  }

  setTools(tools: (AgentTool | Tool)[]): void {
    this.#state.tools = [...tools];
  }

  replaceMessages(messages: AgentMessage[]): void {
    this.#state.messages = [...messages];
  }

  appendMessage(message: AgentInput): void {
    this.#state.messages = [...this.#state.messages, message as AgentMessage];
  }

  clearMessages(): void {
    this.#state.messages = [];
  }

  get #streamFn(): StreamFn {
    const streamFn = this.#options.streamFn ?? this.#defaults.streamFn;
    if (streamFn) return streamFn;
    throw new Error('In a browser an agent needs a streamFn, for example one that calls streamProxy.');
  }

  #toConfig(): AgentLoopConfig {
    const { initialState: _, queueMode: __, streamFn: ___, ...options } = this.#options;
    const { model, thinkingLevel } = this.state;
    return {
      ...options,
      model,
      reasoning: thinkingLevel,
      steering: this.#steering,
      followUp: this.#followUp,
    };
  }

  async #start(begin: (signal: AbortSignal) => AsyncIterable<AgentEvent>): Promise<void> {
    if (this.#run) {
      throw new Error('The agent is at work: queue the message, or wait until it is idle.');
    }
    const controller = new AbortController();
    const events = begin(controller.signal);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const run = { controller, ended };
    this.#run = run;
    this.#state.isStreaming = true;
    delete this.#state.error;
    try {
      await this.#follow(run, events);
    } finally {
      if (this.#run === run) {
        this.#run = undefined;
        this.#settle();
      }
      resolve();
    }
  }

  /** A listener that throws does not harm the run: its error is thrown once that has ended. */
  async #follow(run: Run, events: AsyncIterable<AgentEvent>): Promise<void> {
    const errors: unknown[] = [];
    for await (const event of events) {
      // after a reset what still comes belongs to a conversation that is forgotten
      if (this.#run !== run) continue;
      this.#apply(event);
      for (const listener of this.#listeners) {
        try {
          listener(event);
        } catch (error) {
          errors.push(error);
        }
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #apply(event: AgentEvent): void {
    const state = this.#state;
    switch (event.type) {
      case 'message_start':
      case 'message_update':
        state.streamMessage = event.message.role === 'assistant' ? event.message : null;
        break;
      case 'message_end':
        state.streamMessage = null;
        this.appendMessage(event.message);
        break;
      case 'tool_execution_start':
        state.pendingToolCalls = new Set(state.pendingToolCalls).add(event.toolCallId);
        break;
      case 'tool_execution_end':
        state.pendingToolCalls = new Set(state.pendingToolCalls);
        state.pendingToolCalls.delete(event.toolCallId);
        break;
      case 'turn_end': {
        const { message } = event;
        if (message.role === 'assistant' && message.errorMessage !== undefined)
          state.error = message.errorMessage;
        break;
      }
      case 'agent_end':
        this.#settle();
        break;
      case 'agent_start':
      case 'turn_start':
      case 'tool_execution_update':
        break;
      default:
        event satisfies never;
    }
  }

  #settle(): void {
    this.#state.isStreaming = false;
    this.#state.streamMessage = null;
    this.#state.pendingToolCalls = new Set();
  }
}

function toUserMessage(text: string, images: ImageContent[]): UserMessage {
  return { role: 'user', content: [{ type: 'text', text }, ...images], timestamp: Date.now() };
}
