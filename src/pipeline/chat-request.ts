import type { Effort, ImageContent, Message } from '../core/message.js';
import type { TextFile } from '../files/text-file.js';
import type { Model, ResponseFormat } from '../llm/provider.js';
import type { Tool } from '../tools/tool.js';

/** One message to answer, with all names resolved and all bounds checked. */
export type ChatRequest = {
  message: string;
  files: TextFile[];
  images: ImageContent[];
  /** what was said before, oldest first; every tool call in it has its result */
  history: Message[];
  /** a model that the caller named: no other one may answer */
  model: Model | undefined;
  /** a provider that the caller named: no other one may answer */
  provider: string | undefined;
  effort: Effort;
  /** the caller said how much effort it wants */
  isEffortNamed: boolean;
  temperature: number;
  maxTokens: number | undefined;
  maxCostUsd: number | undefined;
  contextWindow: number | undefined;
  tools: Tool[];
  /** the caller said which tools it wants */
  areToolsNamed: boolean;
  responseFormat: ResponseFormat;
  /** whether an answer that fails its checks may be replaced after it was shown */
  mayRevise: boolean;
};
