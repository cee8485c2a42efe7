import type { AssistantMessage, LlmMessage, ToolResultMessage, UserMessage } from './messages.js';

/** A call that waits for its result; what it has until then says that there is none. */
type OpenCall = { givenId: string; result: ToolResultMessage; isAnswered: boolean };

/**
 * A conversation as strict providers take it, whatever was aborted when: of an answer that broke off only the text stays,
 * every tool call has an id of its own and exactly one result right after it, no result is without a call, and nothing is
 * blank.
 */
export function repairMessages(messages: readonly LlmMessage[]): LlmMessage[] {
  const repaired: LlmMessage[] = [];
  const newId = createIds();
  let open: OpenCall[] = [];
  const settle = () => {
    repaired.push(...open.map(({ result }) => result));
    open = [];
  };
  for (const message of messages) {
    if (message.role === 'toolResult') {
      answer(open, message);
      continue;
    }
    settle();
    if (message.role === 'user') {
      if (hasContent(message)) repaired.push(message);
      continue;
    }
    const sound = withoutLooseEnds(message);
    if (!saysAnything(sound)) continue;
    const content = sound.content.map((block) => {
      if (block.type !== 'toolCall') return block;
      const id = newId(block.id);
      open.push({ givenId: block.id, result: missingResult(id, block.name), isAnswered: false });
      return id === block.id ? block : { ...block, id };
    });
    repaired.push({ ...sound, content });
  }
  settle();
  return repaired;
}

/** Of calls that were given one id the first gets the first result. */
function answer(open: readonly OpenCall[], result: ToolResultMessage): void {
  const calls = open.filter(({ givenId }) => givenId === result.toolCallId);
  const call = calls.find(({ isAnswered }) => !isAnswered) ?? calls.at(-1);
  if (!call) return;
  call.result = { ...result, toolCallId: call.result.toolCallId };
  call.isAnswered = true;
}

function withoutLooseEnds(message: AssistantMessage): AssistantMessage {
  if (message.stopReason !== 'aborted' && message.stopReason !== 'error') return message;
  const content = message.content.filter((block) => block.type === 'text' && block.text !== '');
  return { ...message, content };
}

const isBlank = (text: string) => text.trim() === '';

function saysAnything({ content }: AssistantMessage): boolean {
  return content.some(
    (block) => block.type === 'toolCall' || (block.type === 'text' && !isBlank(block.text)),
  );
}

function hasContent({ content }: UserMessage): boolean {
  if (typeof content === 'string') return !isBlank(content);
  return content.some((block) => block.type === 'image' || !isBlank(block.text));
}

/** What every provider takes; some models number their calls anew in each answer, or use other characters. */
const soundId = /^[a-zA-Z0-9_-]{1,40}$/;
const idStemChars = 30;

/** Keeps an id that can be kept; the others get one that stays the same from request to request. */
function createIds(): (id: string) => string {
  const used = new Set<string>();
  return (id) => {
    const stem = id.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, idStemChars);
    let unique = soundId.test(id) ? id : `${stem}_1`;
    for (let count = 2; used.has(unique); count += 1) unique = `${stem}_${count}`;
    used.add(unique);
    return unique;
  };
}

function missingResult(toolCallId: string, toolName: string): ToolResultMessage {
  return {
    role: 'toolResult',
    toolCallId,
    toolName,
    content: [{ type: 'text', text: 'No result was given.' }],
    isError: true,
    timestamp: Date.now(),
  };
}
