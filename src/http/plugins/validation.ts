import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyInstance } from 'fastify';

const options = {
  allErrors: true,
  verbose: true,
  strict: false,
  strictNumbers: true,
  useDefaults: false,
  removeAdditional: false,
} as const;

/**
 * Bodies are taken as they are: no coercion, nothing stripped, every problem reported. Path, query and headers are
 * text, so their types are coerced. Answers are written as they are: the schemas document them.
 */
export function registerValidation(app: FastifyInstance): void {
  const strict = createBodyValidator();
  const coercing = new Ajv2020({ ...options, coerceTypes: true });
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema),
  );
  app.setSerializerCompiler(() => JSON.stringify);
}

/** For bodies, and for what is like one. */
export function createBodyValidator(): Ajv2020 {
  return new Ajv2020({ ...options, coerceTypes: false });
}
