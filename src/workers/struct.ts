import type { Struct, StructInput } from './generated/google/protobuf/Struct.js';
import type { Value, ValueInput } from './generated/google/protobuf/Value.js';

/** A JSON object as google.protobuf.Struct; what JSON would leave out is left out. */
export function toStruct(object: object): StructInput {
  const fields = Object.entries(object).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, toValue(value)] as const],
  );
  return { fields: Object.fromEntries(fields) };
}

function toValue(value: unknown): ValueInput {
  if (typeof value === 'string') return { stringValue: value };
  // JSON knows no -0, which + 0 makes a plain one
  if (typeof value === 'number')
    return Number.isFinite(value) ? { numberValue: value + 0 } : { nullValue: 'NULL_VALUE' };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  if (typeof value === 'object' && value !== null) return { structValue: toStruct(value) };
  return { nullValue: 'NULL_VALUE' };
}

/** A google.protobuf.Struct as a JSON object. */
export function fromStruct(struct: Struct): Record<string, unknown> {
  return Object.fromEntries(Object.entries(struct.fields).map(([name, value]) => [name, fromValue(value)]));
}

function fromValue(value: Value): unknown {
  switch (value.kind) {
    case 'stringValue':
      return value.stringValue;
    case 'numberValue':
      return value.numberValue;
    case 'boolValue':
      return value.boolValue;
    case 'listValue':
      return value.listValue?.values.map(fromValue) ?? [];
    case 'structValue':
      return value.structValue ? fromStruct(value.structValue) : {};
    case 'nullValue':
    case undefined:
      return null;
    default:
      return value.kind satisfies never;
  }
}
