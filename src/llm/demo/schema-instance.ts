import { textForPattern } from './pattern-text.js';

type Schema = Record<string, unknown>;
type Context = { root: unknown; text: string; depth: number };

const deepest = 12;
const mostItems = 200;
const longestText = 10_000;
const answerNames = /^(?:answer|message|content|text|response|reply|summary|description|comment|note)$/i;

const formats: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ['date', '2024-01-01'],
  ['time', '00:00:00Z'],
  ['date-time', '2024-01-01T00:00:00Z'],
  ['duration', 'P1D'],
  ['email', 'demo@example.com'],
  ['hostname', 'example.com'],
  ['ipv4', '192.0.2.1'],
  ['ipv6', '2001:db8::1'],
  ['uri', 'https://example.com/'],
  ['uri-reference', '/demo'],
  ['uuid', '00000000-0000-4000-8000-000000000000'],
  ['regex', 'demo'],
  ['json-pointer', '/demo'],
]);

/** A small value that fits a JSON Schema; `text` goes where the schema has room for an answer in words. */
export function schemaInstance(schema: unknown, text: string): unknown {
  return instanceOf(schema, { root: schema, text, depth: 0 });
}

function instanceOf(given: unknown, context: Context, name = '', index = 0): unknown {
  const schema = resolve(given, context.root);
  if (context.depth > deepest) return null;
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[index % schema.enum.length];
  const inner = { ...context, depth: context.depth + 1 };
  switch (typeOf(schema)) {
    case 'string':
      return stringOf(schema, context, name, index);
    case 'integer':
      return numberOf(schema, index, true);
    case 'number':
      return numberOf(schema, index, false);
    case 'boolean':
      return index % 2 === 1;
    case 'array':
      return arrayOf(schema, inner);
    case 'object':
      return objectOf(schema, inner);
    default:
      return null;
  }
}

/** Follows `$ref`, joins `allOf`, and takes the first of `anyOf` and `oneOf`. */
function resolve(given: unknown, root: unknown): Schema {
  let schema = asSchema(given);
  for (let step = 0; step < deepest; step++) {
    const { $ref, allOf, anyOf, oneOf, ...rest } = schema;
    const parts = [
      ...(typeof $ref === 'string' ? [lookUp(root, $ref)] : []),
      ...(Array.isArray(allOf) ? allOf : []),
      ...(Array.isArray(anyOf) ? anyOf.slice(0, 1) : []),
      ...(Array.isArray(oneOf) ? oneOf.slice(0, 1) : []),
    ];
    if (parts.length === 0) return rest;
    schema = parts.map(asSchema).reduce(merge, rest);
  }
  return {};
}

function merge(left: Schema, right: Schema): Schema {
  return {
    ...left,
    ...right,
    ...(left.properties || right.properties
      ? { properties: { ...asSchema(left.properties), ...asSchema(right.properties) } }
      : {}),
    ...(left.required || right.required
      ? { required: [...asList(left.required), ...asList(right.required)] }
      : {}),
  };
}

function lookUp(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return {};
  let target = root;
  for (const step of reference.slice(1).split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) return {};
    target = (target as Schema)[key];
  }
  return target;
}

function typeOf(schema: Schema): string {
  const type = Array.isArray(schema.type)
    ? (schema.type.find((item) => item !== 'null') ?? 'null')
    : schema.type;
  if (typeof type === 'string') return type;
  if (schema.properties || schema.required || schema.minProperties) return 'object';
  if (schema.items || schema.prefixItems || schema.minItems) return 'array';
  return ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'].some(
    (key) => key in schema,
  )
    ? 'number'
    : 'string';
}

function stringOf(schema: Schema, { text }: Context, name: string, index: number): string {
  const minimum = Math.min(asNumber(schema.minLength) ?? 0, longestText);
  const maximum = asNumber(schema.maxLength) ?? longestText;
  const format = formats.get(schema.format);
  if (format !== undefined) return format;
  if (typeof schema.pattern === 'string') {
    const fitting = textForPattern(schema.pattern, minimum);
    if (fitting !== undefined) return fitting;
  }
  const base = answerNames.test(name) || name === '' ? text : 'demo';
  const numbered = index === 0 ? base : `${index + 1} ${base}`;
  return [...numbered.padEnd(minimum, '.')].slice(0, maximum).join('');
}

function numberOf(schema: Schema, index: number, isInteger: boolean): number {
  const step = asNumber(schema.multipleOf) || 1;
  const above = asNumber(schema.exclusiveMinimum);
  const below = asNumber(schema.exclusiveMaximum);
  const least = Math.max(
    asNumber(schema.minimum) ?? Number.NEGATIVE_INFINITY,
    above ?? Number.NEGATIVE_INFINITY,
  );
  const most = Math.min(
    asNumber(schema.maximum) ?? Number.POSITIVE_INFINITY,
    below ?? Number.POSITIVE_INFINITY,
  );
  const allowed = (value: number) =>
    value >= least &&
    value <= most &&
    value !== above &&
    value !== below &&
    (!isInteger || Number.isInteger(value));
  const start = least > 0 ? Math.ceil(least / step) : most < 0 ? Math.floor(most / step) : 0;
  const candidates = [start, start + 1, start - 1].map((count) => (count + index) * step);
  const middle = Number.isFinite(least) && Number.isFinite(most) ? [(least + most) / 2] : [];
  return [...candidates, least, most, ...middle].find(allowed) ?? start * step;
}

function arrayOf(schema: Schema, context: Context): unknown[] {
  const prefix = asList(schema.prefixItems);
  const wanted = Math.max(asNumber(schema.minItems) ?? 0, schema.contains === undefined ? 0 : 1);
  const length = Math.min(wanted, mostItems);
  return Array.from({ length }, (_, index) =>
    instanceOf(prefix[index] ?? schema.items ?? schema.contains ?? {}, context, 'item', index),
  );
}

/** What is required; at the top, where nothing is, everything that is described. */
function objectOf(schema: Schema, context: Context): Schema {
  const properties = asSchema(schema.properties);
  const required = asList(schema.required).filter((name) => typeof name === 'string');
  const isTop = context.depth === 1;
  const wanted = new Set(isTop && required.length === 0 ? Object.keys(properties) : required);
  const minimum = Math.min(asNumber(schema.minProperties) ?? 0, mostItems);
  for (const name of Object.keys(properties)) if (wanted.size < minimum) wanted.add(name);
  for (let number = 1; wanted.size < minimum; number++) wanted.add(`property${number}`);
  const fallback = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
  const described = (name: string) => (Object.hasOwn(properties, name) ? properties[name] : fallback);
  return Object.fromEntries([...wanted].map((name) => [name, instanceOf(described(name), context, name)]));
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
