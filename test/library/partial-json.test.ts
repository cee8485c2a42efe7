import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePartialObject } from '../../src/library/partial-json.ts';

test.each<[string, object]>([
  ['', {}],
  ['{', {}],
  ['{"a', {}],
  ['{"a"', {}],
  ['{"a":', {}],
  ['{"a":1', { a: 1 }],
  ['{"a":1,', { a: 1 }],
  ['{"a":1,"b', { a: 1 }],
  ['{"a":"half a wo', { a: 'half a wo' }],
  ['{"a":"x\\', { a: 'x' }],
  ['{"a":"x\\u00', { a: 'x' }],
  ['{"a":"x\\n', { a: 'x\n' }],
  ['{"a":[1,2', { a: [1, 2] }],
  ['{"a":[1,{"b":tr', { a: [1, {}] }],
  ['{"a":{"b":"c"},"d":nul', { a: { b: 'c' } }],
  ['{"a":1}', { a: 1 }],
  ['[1,2]', {}],
  ['not json', {}],
])('%s', (text, value) => {
  expect(parsePartialObject(text)).toEqual(value);
});

test('every beginning of an object can be read, and the whole is itself', () => {
  const objects = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(objects, fc.nat(), (object, at) => {
      const text = JSON.stringify(object);
      expect(typeof parsePartialObject(text.slice(0, at % (text.length + 1)))).toBe('object');
      expect(parsePartialObject(text)).toEqual(JSON.parse(text));
    }),
  );
});
