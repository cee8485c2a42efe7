import { type Faults, faultsOf, finishReasonOf, type Hold, holdsOf, type ScriptedReply } from './reply.ts';
import type { ChatRequest } from './request.ts';
import { type Completion, chunkWriter, type Delta, errorBody, replyDeltas, usageOf } from './wire.ts';

/** What the server does, in order. The response ends after the last step unless that was a `cut`. */
export type Step =
  | { type: 'send'; frame: string }
  | { type: 'wait'; ms: number }
  | { type: 'hold'; hold: Hold }
  | { type: 'stall' }
  | { type: 'cut' };

/** The whole course of a streamed answer, faults included. */
export function* timeline(
  reply: ScriptedReply,
  completion: Completion,
  request: ChatRequest,
): Generator<Step> {
  const faults = faultsOf(reply);
  const includeUsage = request.stream_options?.include_usage === true;
  const write = chunkWriter(completion, includeUsage);
  const usage = includeUsage ? usageOf(reply, request) : null;
  const delayMs = reply.delayMs ?? (faults.endless ? 5 : 0);

  if (reply.firstDelayMs) yield { type: 'wait', ms: reply.firstDelayMs };
  yield send(write.delta({ role: 'assistant', content: '' }));

  const interrupt = interruptions(reply, faults, brokenFrames(faults));
  let sent = 0;
  for (const delta of distorted(replyDeltas(reply), faults)) {
    if (yield* interrupt(sent)) return;
    if (sent > 0 && delayMs > 0) yield { type: 'wait', ms: delayMs };
    if (faults['empty-choices']) yield send(write.emptyChoices());
    if (faults['empty-deltas']) yield* [send(write.delta({})), send(write.delta({ content: '' }))];
    if (faults.pings) yield comment('ping');
    yield send(write.delta(delta));
    if (faults.duplicate?.after === sent) yield send(write.delta(delta));
    sent += 1;
  }
  // A fault that was set beyond the last delta still happens: before the answer finishes.
  if (yield* interrupt(Number.POSITIVE_INFINITY)) return;

  const reason = finishReasonOf(reply);
  const usageWithFinish = reply.usagePlace === 'finish' && usage !== null;
  if (reason !== null) yield send(write.finish(reason, usageWithFinish ? usage : undefined));
  if (usage !== null && !usageWithFinish) yield send(write.usage(usage));
  yield send('[DONE]');
}

function brokenFrames({ error }: Faults): BrokenFrames {
  const body = error?.body ?? errorBody(500, 'The server had an error while processing.');
  return {
    malformed: send('{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"bro'),
    error: send(JSON.stringify(body)),
    done: send('[DONE]'),
  };
}

function send(data: string): Step {
  return { type: 'send', frame: `data: ${data}\n\n` };
}

function comment(text: string): Step {
  return { type: 'send', frame: `: ${text}\n\n` };
}

/** How a protocol says what no client wants to hear. */
export type BrokenFrames = { malformed: Step; error: Step; done: Step };

/** What happens once `sent` deltas are out; true when the answer is over with it. */
export function interruptions(reply: ScriptedReply, faults: Faults, frames: BrokenFrames) {
  const holds = holdsOf(reply).toSorted((left, right) => left.after - right.after);
  let { malformed } = faults;
  return function* interrupt(sent: number): Generator<Step, boolean> {
    while (holds[0] && sent >= holds[0].after) yield { type: 'hold', hold: holds.shift() as Hold };
    if (malformed && sent >= malformed.after) {
      malformed = undefined;
      yield frames.malformed;
    }
    if (faults.error && sent >= faults.error.after) {
      yield frames.error;
      return true;
    }
    if (faults.stall && sent >= faults.stall.after) return yield* last({ type: 'stall' });
    if (faults.cut && sent >= faults.cut.after) return yield* last({ type: 'cut' });
    if (faults.end && sent >= faults.end.after) {
      if (faults.end.done) yield frames.done;
      return true;
    }
    return false;
  };
}

function* last(step: Step): Generator<Step, boolean> {
  yield step;
  return true;
}

function distorted(deltas: Iterable<Delta>, faults: Faults): Iterable<Delta> {
  if (faults.endless) return endlessly(deltas);
  if (!faults['tool-index'] && !faults['arguments-first']) return deltas;
  const all = [...deltas];
  if (faults['arguments-first']) swapIds(all);
  if (faults['tool-index']) for (const delta of all) renumber(delta, faults['tool-index'].how);
  return all;
}

function* endlessly(deltas: Iterable<Delta>): Generator<Delta> {
  yield* deltas;
  for (let number = 1; ; number += 1) yield { content: ` and ${number}` };
}

/** The first fragment of a call's arguments comes before its id and name. */
function swapIds(deltas: Delta[]): void {
  for (let position = 0; position + 1 < deltas.length; position += 1) {
    const opening = deltas[position]?.tool_calls?.[0];
    const fragment = deltas[position + 1]?.tool_calls?.[0];
    if (!opening?.id || !fragment || fragment.id) continue;
    [deltas[position], deltas[position + 1]] = [{ tool_calls: [fragment] }, { tool_calls: [opening] }];
    position += 1;
  }
}

function renumber(delta: Delta, how: 'wrong' | 'missing' | 'duplicate'): void {
  for (const call of delta.tool_calls ?? []) {
    if (how === 'missing') delete call.index;
    else if (how === 'duplicate') call.index = 0;
    else if (call.index !== undefined) call.index = call.index * 3 + 7;
  }
}
