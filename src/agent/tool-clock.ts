/** A tool that shows progress may take this many times its limit in all. */
const capFactor = 5;
/** the longest wait of a timer, about 24 days */
const maxTimerMs = 2 ** 31 - 1;

export interface ToolClock {
  /** Aborts when the time is up; the reason is the sentence for the model. */
  readonly signal: AbortSignal;
  /** The tool is at work: its limit starts anew. */
  touch(): void;
  stop(): void;
}

/** Limits how long a tool may be silent, and how long it may take in all. */
export function startToolClock(limitMs: number): ToolClock {
  const controller = new AbortController();
  const startedMs = performance.now();
  const capMs = limitMs * capFactor;
  let lastMs = startedMs;
  const check = () => {
    const now = performance.now();
    const silentMs = now - lastMs;
    const takenMs = now - startedMs;
    if (silentMs < limitMs && takenMs < capMs) {
      timer = wait(Math.min(limitMs - silentMs, capMs - takenMs));
    } else if (silentMs >= limitMs) {
      controller.abort(`The tool did not answer within ${limitMs / 1000} seconds.`);
    } else {
      controller.abort(`The tool did not finish within ${capMs / 1000} seconds.`);
    }
  };
  const wait = (ms: number) => setTimeout(check, Math.min(Math.ceil(ms), maxTimerMs));
  let timer = wait(limitMs);
  return {
    signal: controller.signal,
    touch() {
      lastMs = performance.now();
    },
    stop: () => clearTimeout(timer),
  };
}
