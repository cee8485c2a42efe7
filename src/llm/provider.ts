import type { LlmEvent } from '../core/events.js';
import type { Effort, Message } from '../core/message.js';

/** A tool as a model is offered it. `parameters` is a JSON Schema of an object. */
export type ToolDefinition = { name: string; description: string; parameters: Record<string, unknown> };

export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; schema: Record<string, unknown> };

export type LlmRequest = {
  /** the provider's own id of the model */
  model: Model;
  messages: Message[];
  tools: ToolDefinition[];
  /** tokens; absent: the provider's default */
  maxTokens?: number;
  temperature?: number;
  responseFormat: ResponseFormat;
  effort: Effort;
  /** told to the provider, so that its log and ours can be joined */
  requestId?: string | undefined;
};

/**
 * A model as the catalogue knows it.
 * Prices are US dollars per million tokens; limits are tokens.
 */
export type Model = {
  id: string;
  provider: string;
  name: string;
  description: string;
  contextWindow: number;
  maxOutput: number;
  price?: { input: number; cachedInput?: number; output: number };
  accepts: { images: boolean; tools: boolean; jsonSchema: boolean; temperature: boolean; reasoning: boolean };
  /** goes on with a trailing assistant message; absent: refuses one */
  prefill?: boolean;
  /** how thinking is asked for, and when it cannot be switched off; absent: the vendor's newest way */
  thinking?: { on: 'adaptive' | 'budget'; off?: 'disabled' | 'between_tools' | 'never' };
  /** whether prompt-cache markers are sent; absent: decided by the model's family */
  promptCache?: boolean;
  /** false: takes tools only with its reasoning off; absent: takes both */
  reasoningWithTools?: boolean;
  /** seconds of silence allowed before the first token; absent: REQUEST_TIMEOUT */
  firstTokenTimeout?: number;
};

/**
 * The port to a language model vendor.
 *
 * `stream` makes one call and never retries. It yields deltas and ends with exactly one `end`; it throws a `Fault`
 * that says what went wrong (`provider_error`, `provider_unavailable`, `provider_rejected`, `provider_timeout`), or the
 * signal's reason when that aborted. A stream that stops without saying why it finished is a `provider_error`.
 *
 * `probe` is a cheap sign of life; it resolves to the ids of the models that the endpoint lists (possibly none), and
 * throws a Fault when the endpoint does not answer or refuses the key.
 */
export interface LlmProvider {
  readonly name: string;
  stream(request: LlmRequest, signal: AbortSignal): AsyncIterable<LlmEvent>;
  probe(signal: AbortSignal): Promise<ProbedModel[]>;
}

export type ProbedModel = { id: string; contextWindow?: number };
