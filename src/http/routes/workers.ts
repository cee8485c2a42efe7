import type { App } from '../../app.js';
import type { Services } from '../../services.js';
import type { WorkerCapability, WorkerStatus } from '../../workers/worker.js';
import { jsonResponse, problemResponses, ref } from '../schemas/common.js';

export function registerWorkerRoutes(app: App, { workers }: Services): void {
  app.get(
    '/api/workers',
    {
      schema: {
        operationId: 'listWorkers',
        summary: 'The workers that tasks are delegated to, how they are and what they can do',
        tags: ['catalogue'],
        security: [],
        response: {
          200: jsonResponse('The workers', ref('Workers')),
          ...problemResponses('internal_error'),
        },
      },
    },
    async () => ({ workers: workers.status().map(toPayload) }),
  );
}

function toPayload({ error, capabilities, ...worker }: WorkerStatus) {
  return {
    ...worker,
    ...(error !== undefined && { error: `The worker ${error}.` }),
    capabilities: capabilities.map(toCapability),
  };
}

function toCapability({ taskType, description, version, tool, problem }: WorkerCapability) {
  return {
    task_type: taskType,
    description,
    version,
    ...(tool !== undefined && { tool }),
    ...(problem !== undefined && { problem }),
  };
}
