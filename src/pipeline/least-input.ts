import type { Message } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { withoutImages } from '../llm/without-images.js';
import { toToolDefinition } from '../tools/registry.js';
import type { ChatRequest } from './chat-request.js';
import { findAnswering } from './choose-models.js';
import { userMessage, windowOf } from './context.js';
import { guidanceFor, type PlanDeps, spendingLimits } from './plan.js';
import { type Guidance, systemPrompt } from './system-prompt.js';
import { readMessage } from './understand.js';

/** A request before its files are read and its session is opened. */
export type Asked = Omit<ChatRequest, 'files'> & { fileNames: string[] };

export type LeastInput = {
  /** those that may answer */
  models: Model[];
  /** tokens that the model reads at least when it is called first */
  countFor(model: Model): number;
};

/** However a window is divided, so much of it is there for what a model reads. */
const surelyFree = 1 / 2;
/** Tokens of what a plan may add to the system prompt, and a file's name to the message beside the name itself. */
const guidanceRoom = 256;
const headerRoom = 48;

/**
 * What is known of the first call of a run before there is a run: it reads no less than this. Tools and history may be cut,
 * so they count only where there is room for them in the window of every model that may answer.
 */
export function findLeastInput(deps: PlanDeps, { fileNames, ...asked }: Asked): LeastInput {
  const request: ChatRequest = { ...asked, files: [] };
  const models = findAnswering(deps, request, {
    // a file may be one
    hasImages: request.images.length + fileNames.length > 0,
    isCapped: spendingLimits(deps, request).maxCostUsd !== undefined,
  });
  const reading = readMessage(request.message);
  const user = userMessage(request, []);
  const frameWith = (given: Guidance[]): Message[] => {
    const content = systemPrompt(given, reading, request.responseFormat, deps.systemPrompt);
    return [{ role: 'system', content }, user];
  };
  const bare = frameWith([]);
  // where tools may not be called, written steps do without
  const offered = deps.limits.maxToolCalls > 0 ? request.tools : [];
  const tools = countMessagesTokens([], offered.map(toToolDefinition));
  const history = countMessagesTokens(request.history, []);

  const window = Math.min(...models.map((model) => windowOf(model, request)));
  const headers = fileNames.reduce((total, name) => total + headerRoom + sizeOf(name), 0);
  // of what the frame leaves, the history is given half at least
  const whole = countMessagesTokens(bare, []) + guidanceRoom + headers + tools + 2 * history;
  const isWhole = whole <= Math.floor(window * Math.min(surelyFree, deps.contextThreshold));
  // files and tools that are left out change what is said
  const isGuided = isWhole && fileNames.length === 0;
  const frame = isGuided ? frameWith(guidanceFor(deps, request, reading)) : bare;
  const frameTokens = countMessagesTokens(frame, []);
  const blindTokens = countMessagesTokens(withoutImages(frame), []);
  return {
    models,
    countFor(model) {
      const least = model.accepts.images ? frameTokens : blindTokens;
      return isWhole ? least + history + (model.accepts.tools ? tools : 0) : least;
    },
  };
}

/** No token is shorter than a byte. */
const sizeOf = (name: string) => Buffer.byteLength(JSON.stringify(name));
