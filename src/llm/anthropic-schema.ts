type Schema = Record<string, unknown>;

const keywords = new Set(
  'type properties required additionalProperties items enum const title description anyOf'.split(' '),
);
const maxDepth = 10;
const maxOptional = 24;
const maxUnions = 16;

type Counts = { optional: number; unions: number };

/**
 * The schema with every object closed, as structured output wants it; what fits it fits the original as well.
 * undefined where it cannot be said, since anything the API does not know of is refused with 400.
 * @see https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
 */
export function toClosedSchema(schema: Schema): Schema | undefined {
  const counts = { optional: 0, unions: 0 };
  const closed = schema.type === 'object' ? close(schema, counts, 0) : undefined;
  return counts.optional > maxOptional || counts.unions > maxUnions ? undefined : closed;
}

function close(schema: unknown, counts: Counts, depth: number): Schema | undefined {
  if (!isSchema(schema) || depth > maxDepth) return undefined;
  if (Object.keys(schema).some((keyword) => !keywords.has(keyword))) return undefined;
  const { type, anyOf, items, properties } = schema;
  const isSaid = type !== undefined || anyOf !== undefined || 'const' in schema || 'enum' in schema;
  if (!isSaid || !hasPlainValues(schema)) return undefined;
  if (anyOf !== undefined || Array.isArray(type)) counts.unions += 1;
  const closed: Schema = { ...schema };
  if (type === 'object' || properties !== undefined) {
    const object = closeObject(schema, counts, depth);
    if (!object) return undefined;
    Object.assign(closed, object);
  }
  if (items !== undefined) closed.items = close(items, counts, depth + 1);
  if (anyOf !== undefined) closed.anyOf = closeAll(anyOf, counts, depth);
  return Object.values(closed).includes(undefined) ? undefined : closed;
}

function closeObject(schema: Schema, counts: Counts, depth: number): Schema | undefined {
  const { properties = {}, required = [], additionalProperties = false } = schema;
  if (additionalProperties !== false || !isSchema(properties) || !Array.isArray(required)) return undefined;
  const closed: Schema = {};
  for (const [name, property] of Object.entries(properties)) {
    const part = close(property, counts, depth + 1);
    if (!part) return undefined;
    if (!required.includes(name)) counts.optional += 1;
    closed[name] = part;
  }
  return { properties: closed, additionalProperties: false };
}

function closeAll(schemas: unknown, counts: Counts, depth: number): Schema[] | undefined {
  if (!Array.isArray(schemas)) return undefined;
  const closed = schemas.map((schema) => close(schema, counts, depth + 1));
  return closed.every((schema) => schema !== undefined) ? closed : undefined;
}

function hasPlainValues(schema: Schema): boolean {
  const values = Array.isArray(schema.enum) ? [...schema.enum, schema.const] : [schema.const];
  return values.every((value) => typeof value !== 'object' || value === null);
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
