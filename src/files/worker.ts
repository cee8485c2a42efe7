import { parentPort } from 'node:worker_threads';
import { FileProblem } from './problem.js';
import { type FileContent, type FileJob, LineProblem, readFile } from './read-file.js';

/** `lines`: how many the file has, when it has fewer than were asked for. */
export type WorkerAnswer = { content: FileContent } | { problem: string; lines?: number };

parentPort?.on('message', async (job: FileJob) => {
  parentPort?.postMessage(await carryOut(job));
});

async function carryOut(job: FileJob): Promise<WorkerAnswer> {
  try {
    return { content: await readFile(job) };
  } catch (error) {
    if (error instanceof LineProblem) return { problem: error.message, lines: error.lines };
    // what a parser says about a file that it does not understand is nothing for the caller
    return { problem: error instanceof FileProblem ? error.message : 'cannot be read; it may be damaged' };
  }
}
