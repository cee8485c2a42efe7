import type { Attempt, ReasoningDelta } from '../core/events.js';
import type { AssistantMessage, ThinkingContent } from '../core/message.js';

/** What a turn says and thinks, in the order in which it came. */
export interface TurnContent {
  readonly blocks: AssistantMessage['content'];
  addThinking(delta: ReasoningDelta): void;
  /** One call to a model is over: only what came of a whole one keeps its seals, and they are its model's. */
  endAttempt(attempt: Attempt): void;
}

/** `said`: the text so far, which grows. It is looked at where something else follows it, not with every delta. */
export function createTurnContent(said: { readonly text: string }): TurnContent {
  let blocks: AssistantMessage['content'] = [];
  /** characters of the text that are in the blocks */
  let taken = 0;
  /** takes more thinking */
  let open: ThinkingContent | undefined;
  /** of the call under way */
  let sealed: ThinkingContent[] = [];

  function openBlock(): ThinkingContent {
    const block: ThinkingContent = { type: 'thinking', thinking: '' };
    blocks.push(block);
    return block;
  }

  function takeText(): void {
    if (taken === said.text.length) return;
    const text = said.text.slice(taken);
    taken = said.text.length;
    open = undefined;
    const last = blocks.at(-1);
    if (last?.type === 'text') last.text += text;
    else blocks.push({ type: 'text', text });
  }

  return {
    get blocks() {
      takeText();
      return blocks;
    },
    addThinking({ text, signature, redacted }) {
      takeText();
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
      takeText();
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
