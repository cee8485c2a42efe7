import { createHash, type Hash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { TaskData } from '../workers/generated/paf/worker/v1/TaskData.js';
import type { TaskRequest } from '../workers/generated/paf/worker/v1/TaskRequest.js';
import { fromStruct } from '../workers/struct.js';
import { maxTaskMs } from './limits.js';
import { CallRefusal } from './refusal.js';
import { type TaskName, taskTypes } from './tasks/task-types.js';

/** A request that may run. */
export type ReadRequest = {
  taskId: string;
  taskType: TaskName;
  payload: unknown;
  timeoutMs: number;
  /** the same for the same task type and payload */
  fingerprint: string;
};

const mostProblems = 5;

/** Checks requests; the schemas are compiled once. A wrong request throws a CallRefusal that names the field. */
export function createRequestReader(): (request: TaskRequest) => ReadRequest {
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  const checks = new Map(
    taskTypes.map(({ name, schema }) => [name as string, { name, check: ajv.compile(schema) }]),
  );
  const names = [...checks.keys()].join(', ');

  return (request) => {
    const { taskId } = request;
    if (!/^[\x21-\x7e]{1,128}$/.test(taskId)) {
      throw invalid('task_id must be 1 to 128 printable ASCII characters without spaces.');
    }
    const type = checks.get(request.taskType);
    if (!type) {
      throw new CallRefusal(
        status.NOT_FOUND,
        `There is no task type ${JSON.stringify(request.taskType.slice(0, 100))}; there are: ${names}.`,
      );
    }
    const payload = toObject(request.payload);
    if (!type.check(payload)) throw invalid(`${describe(type.check.errors ?? [])}.`);
    const hash = createHash('sha256').update(type.name);
    addTo(hash, payload);
    return {
      taskId,
      taskType: type.name,
      payload,
      timeoutMs: toTimeout(request.timeout),
      fingerprint: hash.digest('base64'),
    };
  };
}

const invalid = (message: string) => new CallRefusal(status.INVALID_ARGUMENT, message);

function toObject(data: TaskData | null): unknown {
  if (data?.structured) return fromStruct(data.structured);
  if (!data?.raw) throw invalid('payload is missing.');
  if (!/^application\/json\s*(;|$)/i.test(data.contentType)) {
    throw invalid('payload.content_type must be application/json.');
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data.raw as Uint8Array));
  } catch {
    throw invalid('payload.raw is not valid JSON.');
  }
}

function toTimeout(timeout: TaskRequest['timeout']): number {
  if (!timeout) return maxTaskMs;
  const ms = timeout.seconds * 1000 + timeout.nanos / 1e6;
  if (!(ms > 0)) throw invalid('timeout must be more than 0.');
  return Math.min(ms, maxTaskMs);
}

function describe(errors: ErrorObject[]): string {
  // that none or both of two alternatives fit says more than why each does not
  const telling = errors.filter(({ schemaPath }) => !schemaPath.startsWith('#/oneOf/'));
  return telling.slice(0, mostProblems).map(describeOne).join('; ');
}

function describeOne({ instancePath, keyword, params, message = 'is wrong' }: ErrorObject): string {
  const place = instancePath.replace(/\/(\d+)(?=\/|$)/g, '[$1]').replaceAll('/', '.');
  const field = `payload${place}`;
  switch (keyword) {
    case 'required':
      return `${field}.${params.missingProperty} is missing`;
    case 'additionalProperties':
      return `${field}.${params.additionalProperty} is not known`;
    case 'enum':
      return `${field} must be one of ${(params.allowedValues as unknown[]).join(', ')}`;
    case 'oneOf':
      return `${field} must hold either files or code, and language only beside code`;
    case 'pattern':
      return `${field} must hold a letter or a digit`;
    default:
      return `${field} ${message}`;
  }
}

/** Adds a JSON value in a form that does not depend on the order of its fields, which some senders do not keep. */
function addTo(hash: Hash, value: unknown): void {
  if (Array.isArray(value)) {
    hash.update(`[${value.length}`);
    for (const item of value) addTo(hash, item);
  } else if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    hash.update(`{${fields.length}`);
    for (const [name, item] of fields) {
      addTo(hash, name);
      addTo(hash, item);
    }
  } else if (typeof value === 'string') hash.update(`"${value.length}:`).update(value);
  else hash.update(` ${value}`);
}
