import { Ajv2020 } from 'ajv/dist/2020.js';
import { runBounded } from '../pipeline/run-bounded.js';

/** Compiling takes the process a while, and all the longer the more there is. */
const maxSchemaBytes = 64 * 1024;
/** Milliseconds for one schema: a few kilobytes can keep the compiler busy for seconds. */
const checkTimeoutMs = 200;
const metaSchema = new Ajv2020({ strict: false, logger: false });
// makes its validator here, so that no caller's time goes to it
metaSchema.validateSchema({});

/** What is wrong with a caller's JSON Schema; undefined when answers can be checked with it. */
export function findSchemaProblem(schema: Record<string, unknown>): string | undefined {
  if (Buffer.byteLength(JSON.stringify(schema)) > maxSchemaBytes) return 'must have at most 64 KiB';
  if (schema.$async !== undefined) return 'must not have $async';
  // whatever draft it names: what most generators write is the same in all of them
  const { $schema: _, ...content } = schema;
  const checked = runBounded(() => ({ reason: findReason(content) }), checkTimeoutMs);
  if (!checked) return 'takes too long to check';
  const { reason } = checked;
  return reason === undefined ? undefined : `is not a valid JSON Schema: ${reason.slice(0, 200)}`;
}

function findReason(schema: Record<string, unknown>): string | undefined {
  try {
    if (!metaSchema.validateSchema(schema))
      return metaSchema.errorsText(metaSchema.errors?.slice(0, 1), naming);
    new Ajv2020({ strict: false, validateFormats: false, validateSchema: false, logger: false }).compile(
      schema,
    );
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const naming = { dataVar: 'schema' };
