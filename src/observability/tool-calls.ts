import type { PipelineEvent } from '../core/events.js';

type ToolStart = Extract<PipelineEvent, { type: 'tool-start' }>;
type ToolEnd = Extract<PipelineEvent, { type: 'tool-end' }>;

export type OpenToolCall = ToolStart & { startedMs: number };

/** The calls of one run that have started and not ended. */
export interface ToolCalls {
  start(event: ToolStart): void;
  /** The call that this result belongs to. */
  end(event: ToolEnd): OpenToolCall | undefined;
  /** In the order of their starts. */
  open(): OpenToolCall[];
}

export function createToolCalls(): ToolCalls {
  const calls = new Map<string, OpenToolCall>();
  return {
    start: (event) => void calls.set(event.id, { ...event, startedMs: performance.now() }),
    end({ id }) {
      const call = calls.get(id);
      calls.delete(id);
      return call;
    },
    open: () => [...calls.values()],
  };
}
