import type { Message } from '../../src/core/message.ts';
import { toRequest as toMessagesRequest } from '../../src/llm/anthropic-request.ts';
import { toRequest as toChatRequest } from '../../src/llm/openai-request.ts';
import type { LlmRequest, Model, ToolDefinition } from '../../src/llm/provider.ts';

/** What strict servers would say of a conversation, as their vendors document it; empty: both would take it. */
export function providerProblems(messages: Message[], tools: ToolDefinition[] = []): string[] {
  const chat = toChatRequest(requestFor('openai', messages, tools), 'openai');
  const claude = toMessagesRequest(requestFor('anthropic', messages, tools));
  return [
    ...chatProblems(chat.messages as ChatMessage[]).map((problem) => `OpenAI: ${problem}`),
    ...claudeProblems(claude as unknown as ClaudeRequest).map((problem) => `Anthropic: ${problem}`),
  ];
}

function requestFor(provider: string, messages: Message[], tools: ToolDefinition[]): LlmRequest {
  const accepts = { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false };
  const limits = { contextWindow: 100_000, maxOutput: 4_000 };
  const model: Model = { id: 'strict', provider, name: 'Strict', description: '', ...limits, accepts };
  return { model, messages, tools, responseFormat: { type: 'text' }, effort: 'standard', maxTokens: 1_000 };
}

type ChatMessage = {
  role: string;
  content?: string | unknown[] | null;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
};

/** @see https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages */
function chatProblems(messages: ChatMessage[]): string[] {
  const problems: string[] = [];
  let open: string[] = [];
  for (const [
    index,
    { role, content, tool_calls: calls = [], tool_call_id: id = '' },
  ] of messages.entries()) {
    const add = (text: string) => problems.push(`messages[${index}] (${role}): ${text}`);
    if (role === 'tool') {
      if (open.includes(id)) open = open.filter((other) => other !== id);
      else add(`${id} answers no call of the message before`);
    } else if (open.length > 0) {
      add(`${open.join(', ')} not answered before`);
      open = [];
    }
    if (role !== 'tool' && calls.length === 0 && isEmpty(content)) add('content is empty');
    if (!['system', 'user', 'assistant', 'tool'].includes(role)) add('unknown role');
    const ids = calls.map((call) => call.id);
    if (new Set(ids).size !== ids.length) add('two calls have one id');
    for (const call of calls) {
      if (call.id === '' || call.id.length > 40) add('the id of a call must have 1 to 40 characters');
      if (!/^[a-zA-Z0-9_-]{1,64}$/.test(call.function.name)) add('the name of a function is invalid');
      if (!isJsonObject(call.function.arguments)) add('arguments are no JSON object');
    }
    open.push(...ids);
  }
  if (open.length > 0) problems.push(`${open.join(', ')} never answered`);
  if (messages.at(-1)?.role === 'assistant') problems.push('the last message is not for the model to answer');
  return problems;
}

function isEmpty(content: string | unknown[] | null | undefined): boolean {
  return typeof content === 'string' ? content.trim() === '' : (content ?? []).length === 0;
}

function isJsonObject(text: string): boolean {
  const value = JSON.parse(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type ClaudeBlock = {
  type: string;
  text?: string;
  id?: string;
  tool_use_id?: string;
  content?: ClaudeBlock[];
  input?: unknown;
};
type ClaudeRequest = { messages: { role: string; content: ClaudeBlock[] }[]; tools?: unknown[] };

/** @see https://docs.claude.com/en/api/messages and its guide on tool use */
function claudeProblems({ messages, tools }: ClaudeRequest): string[] {
  const problems: string[] = [];
  const used = new Set<string>();
  let open: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    const add = (text: string) => problems.push(`messages.${index} (${role}): ${text}`);
    if (role !== (index % 2 === 0 ? 'user' : 'assistant'))
      add('roles must alternate and start with the user');
    if (content.length === 0) add('content must not be empty');
    const inner = content.flatMap((block) => [block, ...(block.content ?? [])]);
    if (inner.some(({ type, text = '' }) => type === 'text' && text.trim() === '')) add('blank text');
    const results = content
      .filter(({ type }) => type === 'tool_result')
      .map((block) => block.tool_use_id ?? '');
    if (content.slice(0, results.length).some(({ type }) => type !== 'tool_result'))
      add('results must come first');
    if (new Set(results).size !== results.length) add('a call is answered twice');
    for (const id of open) if (!results.includes(id)) add(`${id} is not answered right after`);
    for (const id of results) if (!open.includes(id)) add(`${id} is no call of the message before`);
    const uses = content.filter(({ type }) => type === 'tool_use');
    open = uses.map(({ id = '' }) => id);
    for (const id of open) {
      if (!/^[a-zA-Z0-9_-]+$/.test(id)) add(`the id ${id} is invalid`);
      if (used.has(id)) add(`the id ${id} was used before`);
      used.add(id);
    }
    if (uses.some(({ input }) => typeof input !== 'object' || input === null)) add('input must be an object');
  }
  if (open.length > 0) problems.push('the last calls are not answered');
  if (messages.at(-1)?.role !== 'user') problems.push('the last message must be the user’s');
  if (used.size > 0 && !tools?.length) problems.push('calls need tools to be defined');
  return problems;
}
