export type ChatMessage = {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
};

/** The parts of a Chat Completions request that the fake reads; everything else stays in the recorded body. */
export type ChatRequest = {
  model: string;
  messages: ChatMessage[];
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  tools?: { type: string; function: { name: string; description?: string; parameters?: object } }[];
  tool_choice?: unknown;
  temperature?: number;
  response_format?: { type: string; json_schema?: { name: string; schema?: object; strict?: boolean } };
  [other: string]: unknown;
};

/** What a strict server would refuse, in its words; undefined when nothing is wrong. */
export function requestProblem(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return 'We could not parse the JSON body of your request.';
  const { model, messages } = body as Partial<ChatRequest>;
  if (typeof model !== 'string' || model === '') return 'you must provide a model parameter';
  if (!Array.isArray(messages) || messages.length === 0) return "Invalid 'messages': empty array.";
  return toolOrderProblem(messages);
}

function toolOrderProblem(messages: ChatMessage[]): string | undefined {
  const open = new Set<string>();
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id ?? '')) {
        return "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
      }
      continue;
    }
    if (open.size > 0) return unansweredCalls(open);
    for (const call of message.tool_calls ?? []) open.add(call.id);
  }
  return open.size > 0 ? unansweredCalls(open) : undefined;
}

function unansweredCalls(ids: Set<string>): string {
  return `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id': ${[...ids].join(', ')}`;
}

export function messageText(message: ChatMessage | undefined): string {
  const content = message?.content ?? '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('\n');
}
