import type { AgentResult } from '../agent/run-agent.js';
import type * as core from '../core/events.js';
import type { ExitReason } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import type { AgentToolResult } from '../tools/define-tool.js';
import type { AgentEvent } from './agent-events.js';
import {
  createMessageBuilder,
  type MessageBuilder,
  type MessagePart,
  type PartEvent,
} from './message-builder.js';
import type { AgentMessage, AssistantMessage, ToolResultMessage } from './messages.js';
import { StreamError } from './stream-router.js';

export type LoopRun = {
  model: Model;
  /** what the run begins with, which is in the conversation already */
  prompts: AgentMessage[];
  /** grows with each message of the run */
  conversation: AgentMessage[];
  /** the message that the latest call to the model came to */
  lastMessage: () => AssistantMessage | undefined;
  /** ends what is still at work */
  stop: () => void;
};

type Step = core.AgentEvent<AgentMessage>;

/** What an agent's followers see of a run of the loop. Failures and aborts end in an assistant message that says so. */
export async function* translateRun(
  run: LoopRun,
  steps: AsyncGenerator<Step, AgentResult<AgentMessage>>,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, void> {
  const translation = createTranslation(run);
  let exitReason: ExitReason | undefined;
  yield { type: 'agent_start' };
  try {
    let step = await steps.next();
    while (!step.done) {
      yield* translation.take(step.value);
      step = await steps.next();
    }
    exitReason = step.value.exitReason;
    yield* translation.endTurn();
  } catch (error) {
    yield* translation.fail(error, signal.aborted);
  } finally {
    run.stop();
    await steps.return(undefined as never);
  }
  const messages = translation.added;
  yield { type: 'agent_end', messages, ...(exitReason === undefined ? {} : { exitReason }) };
}

function createTranslation(run: LoopRun) {
  const added: AgentMessage[] = [...run.prompts];
  let prompts = run.prompts;
  /** of the turn under way */
  let answer: AssistantMessage | undefined;
  let results: ToolResultMessage[] = [];
  let builder: MessageBuilder | undefined;
  let isTurnOpen = false;
  const begun = new Map<string, { name: string; args: unknown }>();

  function* message(each: AgentMessage): Generator<AgentEvent> {
    yield { type: 'message_start', message: each };
    yield* keep(each);
  }

  function* keep(each: AgentMessage): Generator<AgentEvent> {
    added.push(each);
    run.conversation.push(each);
    yield { type: 'message_end', message: each };
  }

  function* startTurn(): Generator<AgentEvent> {
    yield* endTurn();
    isTurnOpen = true;
    yield { type: 'turn_start' };
    for (const prompt of prompts) {
      yield { type: 'message_start', message: prompt };
      yield { type: 'message_end', message: prompt };
    }
    prompts = [];
  }

  function* endTurn(): Generator<AgentEvent> {
    if (!answer) return;
    yield { type: 'turn_end', message: answer, toolResults: results };
    isTurnOpen = false;
    answer = undefined;
    results = [];
  }

  function* grow(part: MessagePart): Generator<AgentEvent> {
    if (!builder) {
      builder = createMessageBuilder(run.model);
      yield { type: 'message_start', message: builder.partial };
    }
    for (const event of builder.take(part)) yield update(event);
  }

  function* endAnswer(whole: AssistantMessage): Generator<AgentEvent> {
    if (builder) for (const event of builder.end()) yield update(event);
    else yield { type: 'message_start', message: whole };
    builder = undefined;
    answer = whole;
    yield* keep(whole);
  }

  function update(event: PartEvent): AgentEvent {
    return { type: 'message_update', message: event.partial, assistantMessageEvent: event };
  }

  function* endTool(result: ToolResultMessage): Generator<AgentEvent> {
    begun.delete(result.toolCallId);
    yield {
      type: 'tool_execution_end',
      toolCallId: result.toolCallId,
      toolName: result.toolName,
      result: toToolResult(result),
      isError: result.isError,
    };
    results.push(result);
    yield* message(result);
  }

  function* take(step: Step): Generator<AgentEvent> {
    switch (step.type) {
      case 'turn-start':
        yield* startTurn();
        break;
      case 'text-delta':
      case 'reasoning-delta':
      case 'tool-call-start':
      case 'tool-call-delta':
        yield* grow(step);
        break;
      case 'message-end':
        yield* takeMessage(step.message);
        break;
      case 'tool-start':
        begun.set(step.id, { name: step.name, args: step.arguments });
        yield {
          type: 'tool_execution_start',
          toolCallId: step.id,
          toolName: step.name,
          args: step.arguments,
        };
        break;
      case 'tool-progress':
        yield {
          type: 'tool_execution_update',
          toolCallId: step.id,
          toolName: step.name,
          args: begun.get(step.id)?.args,
          partialResult: step.partialResult ?? { content: [{ type: 'text', text: step.message }] },
        };
        break;
      case 'tool-end': // told with its message, which has all of the result
      case 'attempt-end':
        break;
      default:
        step satisfies never;
    }
  }

  function* takeMessage(each: Extract<Step, { type: 'message-end' }>['message']): Generator<AgentEvent> {
    if (each.role === 'assistant') yield* endAnswer(toAnswer(run, each.content));
    else if (each.role === 'toolResult') yield* endTool({ ...each, timestamp: Date.now() });
    else yield* message(each as AgentMessage);
  }

  /** Every call that was made gets a result and an open answer its end, so that the conversation can go on. */
  function* fail(error: unknown, isAborted: boolean): Generator<AgentEvent> {
    if (answer) {
      yield* stopCalls(answer, isAborted);
      yield* endTurn();
    }
    if (!isTurnOpen) yield* startTurn();
    yield* endAnswer({
      ...partialAnswer(error),
      stopReason: isAborted ? 'aborted' : 'error',
      errorMessage: isAborted ? 'The run was aborted.' : messageOf(error),
      timestamp: Date.now(),
    });
    yield* endTurn();
  }

  function* stopCalls({ content }: AssistantMessage, isAborted: boolean): Generator<AgentEvent> {
    const done = new Set(results.map((result) => result.toolCallId));
    for (const call of content) {
      if (call.type !== 'toolCall' || done.has(call.id)) continue;
      const { id, name } = call;
      if (!begun.has(id)) yield* take({ type: 'tool-start', id, name, arguments: call.arguments });
      const text = isAborted ? 'Stopped: the run was aborted.' : 'Stopped: the run failed.';
      yield* endTool({
        role: 'toolResult',
        toolCallId: id,
        toolName: name,
        content: [{ type: 'text', text }],
        isError: true,
        timestamp: Date.now(),
      });
    }
  }

  function partialAnswer(error: unknown): AssistantMessage {
    const own = (builder ?? createMessageBuilder(run.model)).partial;
    if (!(error instanceof StreamError)) return own;
    return own.content.length === 0 ? error.partial : { ...error.partial, content: own.content };
  }

  return { added, take, endTurn, fail };
}

/** The answer with what only the call to the model knows: its usage and how it ended. */
function toAnswer(run: LoopRun, content: AssistantMessage['content']): AssistantMessage {
  const whole = run.lastMessage() ?? createMessageBuilder(run.model).partial;
  return { ...whole, content };
}

function toToolResult({ content, details }: ToolResultMessage): AgentToolResult {
  return details === undefined ? { content } : { content, details };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
