import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { createParser } from 'eventsource-parser';
import { expect } from 'vitest';
import type { TestService } from './service.ts';

/** An HTTP answer that was read to its end. `type` is the media type without its parameters. */
export type Answer = { status: number; type: string; headers: Headers; text: string };

/** One server-sent event in the form of the documented union. */
export type WireEvent = { id: number; event: string; data: unknown };

type Media = { schema: object };
type Response = { description: string; content?: Record<string, Media> };
export type Operation = {
  operationId: string;
  summary?: string;
  security?: unknown[];
  responses: Record<string, Response>;
  requestBody?: { content: Record<string, Media & { examples?: Record<string, { value: unknown }> }> };
};
export type OpenApi = {
  openapi: string;
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes?: Record<string, object> };
};

export type Contract = {
  document: OpenApi;
  /** every operation with where it is in the document */
  operations: { path: string; method: string; operation: Operation }[];
  /** Asserts that the operation documents the answer: its status, media type and body. */
  check(operationId: string, answer: Answer): void;
  /** Asserts that the answer is a problem as documented, whatever route it came from. */
  checkProblem(answer: Answer): Record<string, unknown>;
  /** what is wrong with a value for a component's schema; undefined when nothing is */
  problemsOf(schema: string, value: unknown): string | undefined;
  bodyProblemsOf(operationId: string, value: unknown): string | undefined;
};

/** Sends one request; one that is not answered to its end within 10 s fails. */
export async function send(service: TestService, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${service.url}${path}`, { signal: AbortSignal.timeout(10_000), ...init });
  return readAnswer(response);
}

export async function readAnswer(response: globalThis.Response): Promise<Answer> {
  const { status, headers } = response;
  const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
  return { status, type, headers, text: await response.text() };
}

/** The service's own description of itself, to hold its answers against. */
export async function loadContract(service: TestService): Promise<Contract> {
  const { text } = await send(service, '/openapi.json');
  const document = JSON.parse(text) as OpenApi;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'openapi', ...(closed(document) as object) });
  const validators = new Map<string, ValidateFunction>();

  function problemsAt(pointer: string[], value: unknown): string | undefined {
    const ref = `openapi#/${pointer.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`;
    const validate = validators.get(ref) ?? ajv.compile({ $ref: encodeURI(ref) });
    validators.set(ref, validate);
    return validate(value) ? undefined : ajv.errorsText(validate.errors);
  }

  function find(operationId: string) {
    const found = operations.find(({ operation }) => operation.operationId === operationId);
    if (!found) throw new Error(`no operation ${operationId}`);
    return found;
  }

  function checkProblem(answer: Answer): Record<string, unknown> {
    expect(answer.type).toBe('application/problem+json');
    const problem = JSON.parse(answer.text);
    expect(problemsAt(['components', 'schemas', 'Problem'], problem)).toBeUndefined();
    expect(problem.status).toBe(answer.status);
    expect(problem.request_id).toBe(answer.headers.get('x-request-id'));
    return problem;
  }

  return {
    document,
    operations,
    checkProblem,
    problemsOf: (schema, value) => problemsAt(['components', 'schemas', schema], value),
    bodyProblemsOf(operationId, value) {
      const { path, method } = find(operationId);
      return problemsAt(
        ['paths', path, method, 'requestBody', 'content', 'application/json', 'schema'],
        value,
      );
    },
    check(operationId, answer) {
      const { path, method, operation } = find(operationId);
      const { status, type, text } = answer;
      const response = operation.responses[status];
      const what = `${operationId} ${status} ${type} ${text.slice(0, 300)}`;
      expect(response, `${what}: the status is documented`).toBeDefined();
      if (!response?.content) {
        expect({ type, text }, what).toEqual({ type: '', text: '' });
        return;
      }
      expect(Object.keys(response.content), what).toContain(type);
      const pointer = ['paths', path, method, 'responses', String(status), 'content', type, 'schema'];
      for (const value of valuesOf(answer)) expect(problemsAt(pointer, value), what).toBeUndefined();
      if (type !== 'application/problem+json') return;
      const kind = String(checkProblem(answer).type).replace('urn:paf:error:', '');
      expect(response.description.match(/\w+/g), what).toContain(kind);
    },
  };
}

/** What a body's schema describes: each event of a stream, the JSON, or the text itself. */
function valuesOf({ type, text }: Answer): unknown[] {
  if (type === 'text/event-stream') return eventsOf(text);
  return [type.endsWith('json') ? JSON.parse(text) : text];
}

/** The events of a whole stream, which must be well-formed. */
export function eventsOf(text: string): WireEvent[] {
  const events: WireEvent[] = [];
  const parser = createParser({
    onEvent: ({ id, event = 'message', data }) =>
      events.push({ id: Number(id), event, data: event === 'done' ? data : JSON.parse(data) }),
    onError: (error) => {
      throw error;
    },
  });
  parser.feed(text);
  return events;
}

/** The same schemas, but an object may only have the properties that are described. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, closed(item)]));
  const isOpen = copy.type === 'object' && typeof copy.properties === 'object';
  return isOpen ? { additionalProperties: false, ...copy } : copy;
}
