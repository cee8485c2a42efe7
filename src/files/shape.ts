import { clip, counted, NumberRange } from './numbers.js';

const mostKeys = 60;
const mostExamples = 3;
const mostLines = 120;

/** What stands at one place of a tree of data, over all the places that are alike. */
export class Shape {
  count = 0;
  readonly types = new Map<string, number>();
  readonly keys = new Map<string, Shape>();
  moreKeys = 0;
  items: Shape | undefined;
  readonly lengths = new NumberRange();
  readonly numbers = new NumberRange();
  readonly examples = new Set<string>();

  addType(type: string): void {
    this.count += 1;
    this.types.set(type, (this.types.get(type) ?? 0) + 1);
  }

  addExample(text: string): void {
    if (this.examples.size < mostExamples) this.examples.add(clip(text.slice(0, 200), 40));
  }

  keyAt(name: string): Shape | undefined {
    const known = this.keys.get(name);
    if (known) return known;
    if (this.keys.size >= mostKeys) {
      this.moreKeys += 1;
      return undefined;
    }
    const shape = new Shape();
    this.keys.set(name, shape);
    return shape;
  }

  itemShape(): Shape {
    this.items ??= new Shape();
    return this.items;
  }
}

/** The tree as indented lines, one for each key. */
export function describeShape(root: Shape, rootName: string): string {
  const lines: string[] = [];
  const add = (shape: Shape, name: string, depth: number, of: number): void => {
    if (lines.length >= mostLines) return;
    lines.push(`${'  '.repeat(depth)}- ${name}: ${describeOne(shape, of)}`);
    const { items } = shape;
    for (const [key, child] of shape.keys)
      add(child, clip(key, 80), depth + 1, shape.types.get('object') ?? 0);
    if (shape.moreKeys > 0) lines.push(`${'  '.repeat(depth + 1)}- and more keys`);
    if (!items) return;
    if (items.keys.size === 0 && !items.items) return;
    add(items, 'each item', depth + 1, items.count);
  };
  add(root, rootName, 0, root.count);
  if (lines.length >= mostLines) lines.push('- and more');
  return lines.join('\n');
}

function describeOne(shape: Shape, of: number): string {
  const parts = [...shape.types.keys()].map((type) => describeType(shape, type));
  if (shape.count < of) parts.push(`in ${shape.count} of ${of}`);
  return parts.join(', ') || 'empty';
}

function describeType(shape: Shape, type: string): string {
  const { lengths, items, numbers, examples } = shape;
  switch (type) {
    case 'object':
      return `object with ${counted(shape.keys.size + shape.moreKeys, 'key')}`;
    case 'array': {
      const length = lengths.min === lengths.max ? String(lengths.max) : `${lengths.min} to ${lengths.max}`;
      const leaf =
        items && items.keys.size === 0 && !items.items ? ` (${describeOne(items, items.count)})` : '';
      return `array of ${length === '1' ? '1 item' : `${length} items`}${leaf}`;
    }
    case 'number':
      return numbers.count === 1 ? `number ${numbers.min}` : `number ${numbers.describe()}`;
    case 'string':
      return `string such as ${[...examples].map((example) => JSON.stringify(example)).join(', ')}`;
    case 'element':
      return shape.count === 1 ? 'element' : `element, ${counted(shape.count, 'time')}`;
    default:
      return type;
  }
}
