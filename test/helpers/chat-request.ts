import { readPlainText } from '../../src/files/read-file.ts';
import type { TextFile } from '../../src/files/text-file.ts';
import { countTokens } from '../../src/llm/tokens.ts';
import type { ChatRequest } from '../../src/pipeline/chat-request.ts';

/** A request with nothing but a message, unless `parts` say more. */
export function chatRequest(parts: Partial<ChatRequest> = {}): ChatRequest {
  return {
    message: 'Tell me about rivers.',
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
    ...parts,
  };
}

/** A plain text as the file reader gives it, ranked against the question. */
export function textFile(text: string, name = 'a.txt', question = 'Sum it up.'): TextFile {
  const job = {
    name,
    bytes: Buffer.from(text),
    question,
    lineStart: undefined,
    lineEnd: undefined,
    isText: true,
  };
  const content = readPlainText(job, 'text');
  return { ...content, name, text, tokens: countTokens(text) };
}
