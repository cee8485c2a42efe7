import type { Effort, ImageContent } from '../core/message.js';
import type { TextFile } from '../files/ingest.js';
import type { Model, ResponseFormat } from '../llm/provider.js';
import type { Tool } from '../tools/tool.js';

/** One message to answer, with all names resolved and all bounds checked. */
export type ChatRequest = {
  message: string;
  files: TextFile[];
  images: ImageContent[];
  history: { role: 'user' | 'assistant' | 'system'; content: string }[];
  /** newest messages of `history` that are kept */
  memoryLimit: number;
  /** a model that the caller named: no other one may answer */
  model: Model | undefined;
  /** a provider that the caller named: no other one may answer */
  provider: string | undefined;
  effort: Effort;
  temperature: number;
  maxTokens: number | undefined;
  maxCostUsd: number | undefined;
  contextWindow: number | undefined;
  tools: Tool[];
  responseFormat: ResponseFormat;
  /** whether an answer that fails its checks may be replaced after it was shown */
  mayRevise: boolean;
};
