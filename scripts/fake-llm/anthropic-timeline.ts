import { type MessagesRequest, signature } from './anthropic-request.ts';
import {
  type BlockDelta,
  blockDeltas,
  emptyMessage,
  messagesError,
  messageUsage,
  stopReasonOf,
} from './anthropic-wire.ts';
import { type Faults, faultsOf, type ScriptedReply } from './reply.ts';
import { type BrokenFrames, interruptions, type Step } from './timeline.ts';

/** The whole course of a streamed message, faults included. */
export function* messageTimeline(
  reply: ScriptedReply,
  request: MessagesRequest,
  number: number,
): Generator<Step> {
  const faults = faultsOf(reply);
  const usage = messageUsage(reply, request);
  const delayMs = reply.delayMs ?? (faults.endless ? 5 : 0);
  const blocks = blockWriter(faults);

  if (reply.firstDelayMs) yield { type: 'wait', ms: reply.firstDelayMs };
  const message = {
    ...emptyMessage(request, number),
    ...(usage && { usage: { ...usage, output_tokens: 1 } }),
  };
  yield frame('message_start', { message });
  yield frame('ping', {});

  const interrupt = interruptions(reply, faults, brokenFrames(faults));
  let sent = 0;
  for (const delta of endless(blockDeltas(reply), faults)) {
    if (yield* interrupt(sent)) return;
    if (sent > 0 && delayMs > 0) yield { type: 'wait', ms: delayMs };
    if (faults.pings) yield frame('ping', {});
    if (faults['empty-choices']) yield frame('something_new', { index: 0 });
    yield* blocks.write(delta);
    if (faults['empty-deltas']) yield* blocks.writeEmpty(delta);
    if (faults.duplicate?.after === sent) yield* blocks.repeat(delta);
    sent += 1;
  }
  // A fault that was set beyond the last delta still happens: before the answer finishes.
  if (yield* interrupt(Number.POSITIVE_INFINITY)) return;

  yield* blocks.close();
  const delta = { stop_reason: stopReasonOf(reply), stop_sequence: null };
  yield frame('message_delta', { delta, ...(usage && { usage }) });
  yield frame('message_stop', {});
}

function frame(type: string, fields: object): Step {
  return { type: 'send', frame: `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n` };
}

function brokenFrames({ error }: Faults): BrokenFrames {
  const body = error?.body ?? messagesError(500, 'Internal server error');
  return {
    malformed: {
      type: 'send',
      frame: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"ty\n\n',
    },
    error: { type: 'send', frame: `event: error\ndata: ${JSON.stringify(body)}\n\n` },
    done: frame('message_stop', {}),
  };
}

const emptyDeltas = {
  thinking_delta: { thinking: '' },
  text_delta: { text: '' },
  input_json_delta: { partial_json: '' },
};

/** Opens and closes content blocks around the deltas. */
function blockWriter(faults: Faults) {
  let count = 0;
  let openType: BlockDelta['type'] | undefined;
  const place = () => placed(count - 1, faults['tool-index']?.how);
  const deltaFrame = (delta: object) => frame('content_block_delta', { ...place(), delta });

  function* close(): Generator<Step> {
    if (openType === undefined) return;
    if (openType === 'thinking_delta') yield deltaFrame({ type: 'signature_delta', signature });
    yield frame('content_block_stop', place());
    openType = undefined;
  }

  function* open(type: BlockDelta['type'], block: object): Generator<Step> {
    yield* close();
    count += 1;
    openType = type;
    yield frame('content_block_start', { ...place(), content_block: block });
  }

  function* write(delta: BlockDelta): Generator<Step> {
    if (delta.type === 'tool_use') {
      yield* open('input_json_delta', delta);
      yield deltaFrame({ type: 'input_json_delta', ...emptyDeltas.input_json_delta });
      return;
    }
    if (delta.type === 'thinking_delta' && openType !== delta.type) {
      yield* open(delta.type, { type: 'thinking', thinking: '', signature: '' });
    }
    if (delta.type === 'text_delta' && openType !== delta.type) {
      yield* open(delta.type, { type: 'text', text: '' });
    }
    yield deltaFrame(delta);
  }

  return {
    write,
    close,
    *repeat(delta: BlockDelta): Generator<Step> {
      if (delta.type !== 'tool_use') yield deltaFrame(delta);
    },
    *writeEmpty(delta: BlockDelta): Generator<Step> {
      const type = delta.type === 'tool_use' ? 'input_json_delta' : delta.type;
      yield deltaFrame({ type, ...emptyDeltas[type] });
    },
  };
}

function placed(index: number, how: 'wrong' | 'missing' | 'duplicate' | undefined): { index?: number } {
  switch (how) {
    case 'missing':
      return {};
    case 'duplicate':
      return { index: 0 };
    case 'wrong':
      return { index: index * 3 + 7 };
    default:
      return { index };
  }
}

function* endless(deltas: Iterable<BlockDelta>, faults: Faults): Generator<BlockDelta> {
  yield* deltas;
  if (!faults.endless) return;
  for (let number = 1; ; number += 1) yield { type: 'text_delta', text: ` and ${number}` };
}
