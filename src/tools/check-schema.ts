import { Ajv2020 } from 'ajv/dist/2020.js';

/** Runs synchronous work; undefined when it took longer than `timeoutMs` milliseconds. */
export type RunBounded = <T>(work: () => T, timeoutMs: number) => T | undefined;

export type CheckedSchema = { schema: Record<string, unknown> } | { problem: string };

const maxSchemaBytes = 64 * 1024;
/**
 * Milliseconds for one schema: a few kilobytes can keep the compiler busy for seconds. The second try is for a machine
 * that was busy with something else.
 */
const checkTimeoutsMs = [200, 400];
const mostProblemChars = 200;

const options = { strict: false, validateFormats: false, logger: false } as const;

/** A tool's schema as models and the validation of arguments take it, or why it cannot be used. */
export function checkSchema(given: unknown, runBounded: RunBounded): CheckedSchema {
  if (given !== undefined && !isRecord(given)) return { problem: 'its input schema is not an object' };
  // whatever draft it names: what most generators write is the same in all of them, and an id may be taken
  const { $schema: _draft, $id: _id, id: _oldId, ...content } = given ?? {};
  const { type = 'object', properties = {} } = content;
  if (type !== 'object') return { problem: 'its input schema is not that of an object' };
  const schema = { ...content, type, properties };
  const problem = sizeProblem(schema);
  if (problem !== undefined) return { problem };
  if ('$async' in schema) return { problem: 'its input schema has $async' };
  const metaSchema = createMetaSchema();
  for (const timeoutMs of checkTimeoutsMs) {
    const checked = runBounded(() => ({ reason: findReason(metaSchema, schema) }), timeoutMs);
    if (!checked) continue;
    if (checked.reason === undefined) return { schema };
    return { problem: `its input schema is not valid: ${checked.reason.slice(0, mostProblemChars)}` };
  }
  return { problem: 'its input schema takes too long to check' };
}

function sizeProblem(schema: object): string | undefined {
  try {
    const isLarge = Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes;
    return isLarge ? 'its input schema has more than 64 KiB' : undefined;
  } catch {
    return 'its input schema nests too deeply';
  }
}

function findReason(metaSchema: Ajv2020, schema: Record<string, unknown>): string | undefined {
  try {
    if (!metaSchema.validateSchema(schema)) {
      return metaSchema.errorsText(metaSchema.errors?.slice(0, 1), { dataVar: 'schema' });
    }
    // fetches nothing: a reference to another document is an error
    new Ajv2020({ ...options, validateSchema: false, meta: false }).compile(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

let shared: Ajv2020 | undefined;

/** Makes its validator at once, so that no schema's time goes to it. */
function createMetaSchema(): Ajv2020 {
  if (shared) return shared;
  shared = new Ajv2020(options);
  shared.validateSchema({});
  return shared;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
