import { parentPort, workerData } from 'node:worker_threads';
import { measureCode } from './code-metrics.js';
import { analyseData } from './data-analysis.js';
import { TaskRefusal, type TaskStep, type TaskWork } from './task.js';
import type { AnalysisPayload, MetricsPayload, SearchPayload, TaskName } from './task-types.js';
import { searchText } from './text-search.js';

/** What the thread tells: steps, and as the last thing a result or a refusal. Anything else is an error of the thread. */
export type ThreadMessage =
  | { type: 'step'; step: TaskStep }
  | { type: 'result'; result: Record<string, unknown> }
  | { type: 'refusal'; message: string };

/** The payload fits its schema, which was checked before. */
export type ThreadJob = { taskType: TaskName; payload: unknown };

/** between progress of the same kind */
const quietMs = 100;

function start({ taskType, payload }: ThreadJob): TaskWork {
  switch (taskType) {
    case 'data_analysis':
      return analyseData(payload as AnalysisPayload);
    case 'text_search':
      return searchText(payload as SearchPayload);
    case 'code_metrics':
      return measureCode(payload as MetricsPayload);
    default:
      throw new Error(`no work for ${taskType satisfies never}`);
  }
}

const tell = (message: ThreadMessage) => parentPort?.postMessage(message);

async function run(): Promise<void> {
  const work = start(workerData as ThreadJob);
  let told = { message: '', at: 0 };
  try {
    for (;;) {
      const next = await work.next();
      if (next.done) return tell({ type: 'result', result: next.value });
      const step = next.value;
      if (step.type === 'progress') {
        const now = performance.now();
        if (step.message === told.message && now - told.at < quietMs) continue;
        told = { message: step.message, at: now };
      }
      tell({ type: 'step', step });
    }
  } catch (error) {
    if (!(error instanceof TaskRefusal)) throw error;
    tell({ type: 'refusal', message: error.message });
  }
}

await run();
