import { wholeNumber } from './kinds.js';

/** Settings of the worker process alone. */
export const workerProcessSettings = {
  workerPort: {
    env: 'WORKER_PORT',
    kind: wholeNumber(0, 65_535),
    default: '50051',
    group: 'workers',
    about: 'The worker process: TCP port to listen on; 0 takes any free one.',
  },
  workerMaxTasks: {
    env: 'WORKER_MAX_TASKS',
    kind: wholeNumber(1, 1_000),
    default: '4',
    group: 'workers',
    about: 'The worker process: tasks at once; the next one gets RESOURCE_EXHAUSTED.',
  },
} as const;
