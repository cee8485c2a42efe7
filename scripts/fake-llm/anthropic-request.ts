/** What vouches for a block of thinking. */
export const signature = 'c2lnbmF0dXJlIG9mIHRoZSBmYWtl';

type Block = {
  type: string;
  text?: string;
  id?: string;
  tool_use_id?: string;
  content?: string | Block[];
  cache_control?: unknown;
  [other: string]: unknown;
};

type Message = { role: string; content: string | Block[] };

/** The parts of a Messages request that the fake reads; everything else stays in the recorded body. */
export type MessagesRequest = {
  model: string;
  max_tokens: number;
  messages: Message[];
  system?: string | Block[];
  stream?: boolean;
  temperature?: number;
  tools?: { name: string; description?: string; input_schema: object; cache_control?: unknown }[];
  tool_choice?: { type: string };
  thinking?: { type: string; budget_tokens?: number; display?: string };
  output_config?: { effort?: string; format?: { type: string; schema: object } };
  [other: string]: unknown;
};

/** What the request is held against besides itself; `version` is that of the API which it asks for. */
type Server = { takesPrefill: boolean; version: unknown };

/** What the Messages API would refuse, in its words; undefined when nothing is wrong. */
export function messagesProblem(body: unknown, server: Server): string | undefined {
  if (typeof body !== 'object' || body === null) return 'The request body is not valid JSON.';
  const request = body as MessagesRequest;
  if (typeof request.model !== 'string' || request.model === '') return 'model: Field required';
  if (!Number.isInteger(request.max_tokens)) return 'max_tokens: Field required';
  if (request.max_tokens < 1) return 'max_tokens: Input should be greater than or equal to 1';
  if (!Array.isArray(request.messages) || request.messages.length === 0) {
    return 'messages: at least one message is required';
  }
  return (
    roleProblem(request.messages) ??
    textProblem(request) ??
    toolProblem(request) ??
    cacheProblem(request) ??
    samplingProblem(request, server) ??
    thinkingProblem(request) ??
    signatureProblem(request) ??
    prefillProblem(request, server)
  );
}

function roleProblem(messages: Message[]): string | undefined {
  let expected = 'user';
  for (const { role } of messages) {
    if (role !== 'user' && role !== 'assistant') {
      return `messages: Unexpected role "${role}". Allowed roles are "user" or "assistant".`;
    }
    if (role !== expected) {
      return expected === 'user'
        ? 'messages: roles must alternate between "user" and "assistant", but found multiple "assistant" roles in a row, or none before them'
        : 'messages: roles must alternate between "user" and "assistant", but found multiple "user" roles in a row';
    }
    expected = role === 'user' ? 'assistant' : 'user';
  }
  return undefined;
}

function textProblem({ system, messages }: MessagesRequest): string | undefined {
  const blocks = [
    ...blocksOf(system ?? []),
    ...messages.flatMap(({ content }) => {
      const own = blocksOf(content);
      return [...own, ...own.flatMap((block) => blocksOf(block.content ?? []))];
    }),
  ];
  if (messages.some(({ content }) => content.length === 0)) return 'messages: content must not be empty';
  const isBlank = (block: Block) => block.type === 'text' && (block.text ?? '').trim() === '';
  return blocks.some(isBlank) ? 'messages: text content blocks must contain non-whitespace text' : undefined;
}

function toolProblem({ messages, tools }: MessagesRequest): string | undefined {
  let open: string[] = [];
  const seen = new Set<string>();
  for (const { role, content } of messages) {
    const blocks = blocksOf(content);
    const problem = role === 'user' ? resultProblem(blocks, open) : useProblem(blocks, seen);
    if (problem) return problem;
    open = blocks.filter(({ type }) => type === 'tool_use').map(({ id }) => String(id));
  }
  if (open.length > 0) return unanswered(open);
  if (seen.size > 0 && !tools?.length) {
    return 'Requests which include `tool_use` or `tool_result` blocks must define tools';
  }
  return undefined;
}

function useProblem(blocks: Block[], seen: Set<string>): string | undefined {
  for (const { type, id } of blocks) {
    if (type !== 'tool_use') continue;
    if (typeof id !== 'string' || !/^[a-zA-Z0-9_-]+$/.test(id)) {
      return "messages: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'";
    }
    if (seen.has(id)) return 'messages: `tool_use` ids must be unique';
    seen.add(id);
  }
  return undefined;
}

function resultProblem(blocks: Block[], open: string[]): string | undefined {
  const results = blocks.filter(({ type }) => type === 'tool_result').map((block) => block.tool_use_id);
  const stray = results.find((id) => !open.includes(String(id)));
  if (stray !== undefined) {
    return `messages: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`;
  }
  const missing = open.filter((id) => !results.includes(id));
  if (missing.length > 0) return unanswered(missing);
  const firstOther = blocks.findIndex(({ type }) => type !== 'tool_result');
  const lastResult = blocks.findLastIndex(({ type }) => type === 'tool_result');
  return firstOther !== -1 && firstOther < lastResult
    ? 'messages: `tool_result` blocks must come before all other content'
    : undefined;
}

function unanswered(ids: string[]): string {
  return `messages: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${ids.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`;
}

const maxCacheMarkers = 4;

function cacheProblem({ system, messages, tools = [] }: MessagesRequest): string | undefined {
  const blocks = [...blocksOf(system ?? []), ...messages.flatMap(({ content }) => blocksOf(content))];
  const count = [...blocks, ...tools].filter((part) => part.cache_control).length;
  return count > maxCacheMarkers
    ? `A maximum of ${maxCacheMarkers} blocks with cache_control may be provided. Found ${count}.`
    : undefined;
}

function samplingProblem({ temperature, thinking }: MessagesRequest, { version }: Server) {
  if (version !== '2023-06-01' && version !== '2026-10-21') return 'anthropic-version: header is required';
  if (temperature === undefined) return undefined;
  if (version !== '2023-06-01') return 'temperature: Extra inputs are not permitted';
  if (temperature < 0 || temperature > 1) return 'temperature: range: 0..1';
  return isThinking(thinking) && temperature !== 1
    ? '`temperature` may only be set to 1 when thinking is enabled'
    : undefined;
}

function thinkingProblem({ thinking, max_tokens: limit, messages }: MessagesRequest): string | undefined {
  if (thinking?.type !== 'enabled') return undefined;
  const budget = thinking.budget_tokens ?? 0;
  if (budget < 1024) return 'thinking.enabled.budget_tokens: Input should be greater than or equal to 1024';
  if (budget >= limit) return '`max_tokens` must be greater than `thinking.budget_tokens`';
  const last = blocksOf(messages.findLast(({ role }) => role === 'assistant')?.content ?? []);
  const isOpenTurn = blocksOf(messages.at(-1)?.content ?? []).some(({ type }) => type === 'tool_result');
  return isOpenTurn && !last[0]?.type.includes('thinking')
    ? 'messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block.'
    : undefined;
}

/** Thinking comes back as it was given, or not at all. */
function signatureProblem({ messages }: MessagesRequest): string | undefined {
  for (const [position, message] of messages.entries()) {
    const index = blocksOf(message.content).findIndex(
      (block) => block.type === 'thinking' && block.signature !== signature,
    );
    if (index >= 0)
      return `messages.${position}.content.${index}: Invalid \`signature\` in \`thinking\` block`;
  }
  return undefined;
}

function prefillProblem(request: MessagesRequest, { takesPrefill }: Server): string | undefined {
  const last = request.messages.at(-1);
  if (last?.role !== 'assistant') return undefined;
  if (!takesPrefill) {
    return 'This model does not support assistant message prefill. The conversation must end with a user message.';
  }
  if (isThinking(request.thinking)) return 'messages: prefill is not supported with thinking';
  if (request.output_config?.format) return 'output_config.format: prefill is not supported';
  const text = blocksOf(last.content).at(-1)?.text ?? '';
  return text !== text.trimEnd()
    ? 'messages: final assistant content cannot end with trailing whitespace'
    : undefined;
}

function isThinking(thinking: MessagesRequest['thinking']): boolean {
  return thinking?.type === 'enabled' || thinking?.type === 'adaptive';
}

export function blocksOf(content: string | Block[]): Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}
