import type { Attempt, ReasoningDelta } from '../core/events.js';
import type { AssistantMessage, ThinkingContent } from '../core/message.js';

/** What a turn says and thinks, in the order in which it came. */
export interface TurnContent {
  readonly blocks: AssistantMessage['content'];
  addText(text: string): void;
  addThinking(delta: ReasoningDelta): void;
  /** One call to a model is over: only what came of a whole one keeps its seals, and they are its model's. */
  endAttempt(attempt: Attempt): void;
}

export function createTurnContent(): TurnContent {
  let blocks: AssistantMessage['content'] = [];
  /** takes more thinking */
  let open: ThinkingContent | undefined;
  /** of the call under way */
  let sealed: ThinkingContent[] = [];

  function openBlock(): ThinkingContent {
    const block: ThinkingContent = { type: 'thinking', thinking: '' };
    blocks.push(block);
    return block;
  }

  return {
    get blocks() {
      return blocks;
    },
    addText(text) {
      open = undefined;
      const last = blocks.at(-1);
      if (last?.type === 'text') last.text += text;
      else if (text !== '') blocks.push({ type: 'text', text });
    },
    addThinking({ text, signature, redacted }) {
      if (text !== '') {
        open ??= openBlock();
        open.thinking += text;
      }
      if (signature === undefined && redacted === undefined) return;
      const block = redacted === undefined ? (open ?? openBlock()) : openBlock();
      if (signature !== undefined) block.signature = signature;
      if (redacted !== undefined) block.redacted = redacted;
      sealed.push(block);
      open = undefined;
    },
    endAttempt({ provider, model, outcome }) {
      for (const block of sealed) {
        if (outcome === 'ok') block.sealedBy = `${provider}/${model}`;
        else unseal(block);
      }
      blocks = blocks.filter((block) => block.type !== 'thinking' || block.thinking !== '' || block.sealedBy);
      sealed = [];
      open = undefined;
    },
  };
}

function unseal(block: ThinkingContent): void {
  delete block.signature;
  delete block.redacted;
}
