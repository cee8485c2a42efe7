type ToolUse = { toolUseId: string; name: string; input: unknown };
type ToolResult = { toolUseId: string; content: Block[]; status?: 'success' | 'error' };
type Block = {
  text?: string;
  image?: { format: string; source: { bytes: string } };
  toolUse?: ToolUse;
  toolResult?: ToolResult;
  reasoningContent?: { reasoningText?: { text: string; signature?: string } };
  cachePoint?: { type: string };
  [other: string]: unknown;
};
type Message = { role: string; content: Block[] };

/** The parts of a ConverseStream request that the fake reads; everything else stays in the recorded body. */
export type ConverseRequest = {
  /** from the path */
  model: string;
  messages: Message[];
  system?: Block[];
  inferenceConfig?: { maxTokens?: number; temperature?: number };
  toolConfig?: {
    tools: { toolSpec: { name: string; description?: string; inputSchema: { json: object } } }[];
  };
  outputConfig?: object;
  [other: string]: unknown;
};

/** What vouches for a block of reasoning. */
export const signature = 'c2lnbmF0dXJl';

/** What Bedrock would refuse, in its words; undefined when nothing is wrong. */
export function converseProblem(request: ConverseRequest): string | undefined {
  const { messages } = request;
  if (!Array.isArray(messages) || messages.length === 0) {
    return 'A conversation must have at least one message. Try again with a conversation that has at least one message.';
  }
  return (
    roleProblem(messages) ??
    contentProblem(request) ??
    toolProblem(request) ??
    configProblem(request) ??
    signatureProblem(messages) ??
    prefillProblem(messages)
  );
}

function roleProblem(messages: Message[]): string | undefined {
  let expected = 'user';
  for (const [position, { role }] of messages.entries()) {
    if (role !== expected) {
      return position === 0
        ? 'A conversation must start with a user message. Try again with a conversation that starts with a user message.'
        : `messages: roles must alternate between "user" and "assistant", but found multiple "${role}" roles in a row`;
    }
    expected = role === 'user' ? 'assistant' : 'user';
  }
  return undefined;
}

function contentProblem({ messages, system = [] }: ConverseRequest): string | undefined {
  const lists = [
    ...messages.map(({ content }) => content),
    ...messages
      .flatMap(({ content }) => content.flatMap(({ toolResult }) => toolResult?.content ?? []))
      .map((block) => [block]),
  ];
  if (lists.some((content) => content.length === 0)) {
    return 'The content field in the Message object is empty. Add a ContentBlock object to the content field and try again.';
  }
  if ([...lists.flat(), ...system].some(({ text }) => text !== undefined && text.trim() === '')) {
    return 'The text field in the ContentBlock object is blank. Add text to the text field, and try again.';
  }
  const formats = lists.flat().map(({ image }) => image?.format ?? 'png');
  return formats.every((format) => ['png', 'jpeg', 'gif', 'webp'].includes(format))
    ? undefined
    : 'Value at image.format failed to satisfy constraint: Member must satisfy enum value set: [jpeg, png, gif, webp]';
}

const idPattern = /^[a-zA-Z0-9_-]{1,64}$/;

function toolProblem({ messages, toolConfig }: ConverseRequest): string | undefined {
  let open: string[] = [];
  let hasTools = false;
  for (const [position, { content }] of messages.entries()) {
    const answered = content.flatMap(({ toolResult }) => toolResult?.toolUseId ?? []);
    const problem = resultProblem(open, answered, position);
    if (problem) return problem;
    open = content.flatMap(({ toolUse }) => toolUse?.toolUseId ?? []);
    if (!open.every((id) => idPattern.test(id))) {
      return 'Value at toolUse.toolUseId failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+';
    }
    hasTools ||= open.length > 0;
  }
  if (open.length > 0) return resultProblem(open, [], messages.length);
  return hasTools && !toolConfig?.tools.length
    ? 'The toolConfig field must be defined when using toolUse and toolResult content blocks.'
    : undefined;
}

function resultProblem(open: string[], answered: string[], position: number): string | undefined {
  const missing = open.filter((id) => !answered.includes(id));
  if (missing.length > 0) {
    return `Expected toolResult blocks at messages.${position}.content for the following Ids: ${missing.join(', ')}`;
  }
  return answered.length > open.length
    ? `The number of toolResult blocks at messages.${position}.content exceeds the number of toolUse blocks of previous turn.`
    : undefined;
}

function configProblem({ inferenceConfig, toolConfig }: ConverseRequest): string | undefined {
  const { temperature = 0, maxTokens = 1 } = inferenceConfig ?? {};
  if (temperature < 0 || temperature > 1) {
    return 'Value at inferenceConfig.temperature failed to satisfy constraint: Member must have value less than or equal to 1';
  }
  if (maxTokens < 1) {
    return 'Value at inferenceConfig.maxTokens failed to satisfy constraint: Member must have value greater than or equal to 1';
  }
  const isWrong = toolConfig?.tools.some(
    ({ toolSpec: { name, description, inputSchema } }) =>
      !idPattern.test(name) ||
      description === '' ||
      (inputSchema.json as { type?: string }).type !== 'object',
  );
  return isWrong
    ? 'The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.'
    : undefined;
}

/** Reasoning comes back as it was given, or not at all. */
function signatureProblem(messages: Message[]): string | undefined {
  const texts = messages.flatMap(({ content }) =>
    content.flatMap(({ reasoningContent }) => reasoningContent?.reasoningText ?? []),
  );
  return texts.every((text) => text.signature === signature)
    ? undefined
    : 'messages: Invalid `signature` in `thinking` block';
}

function prefillProblem(messages: Message[]): string | undefined {
  const last = messages.at(-1);
  const text = last?.role === 'assistant' ? (last.content.at(-1)?.text ?? '') : '';
  return text !== text.trimEnd()
    ? 'messages: final assistant content cannot end with trailing whitespace'
    : undefined;
}
