import { describeShape, Shape } from './shape.js';
import { type FileBody, readBytes } from './text-file.js';

const pieceBytes = 1024 * 1024;
/** Levels whose keys are told apart. */
const deepest = 8;
const mostStringKept = 200;

type Frame = { shape: Shape | undefined; isArray: boolean; length: number };

/**
 * The shape of JSON, or of one JSON value a line. It goes over the text once, sign by sign, and keeps nothing but the
 * shape: neither size nor depth of the text matters.
 */
export function outlineJson(body: FileBody): string {
  const scanner = new JsonScanner();
  // pieces end between characters: half a character would be decoded to something else, which the shape may show
  for (let start = 0; start < body.bytes.length; ) {
    let end = Math.min(start + pieceBytes, body.bytes.length);
    while (end < body.bytes.length && ((body.bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    scanner.feed(readBytes(body, start, end));
    start = end;
  }
  return scanner.outline();
}

export function outlineJsonText(text: string): string {
  const scanner = new JsonScanner();
  scanner.feed(text);
  return scanner.outline();
}

class JsonScanner {
  private readonly root = new Shape();
  private readonly stack: Frame[] = [];
  /** levels that are open below the stack */
  private depthBelow = 0;
  private deepestSeen = 0;
  private key: string | undefined;
  private isKeyNext = false;
  /** the string that is being read; undefined outside of one */
  private string: string | undefined;
  private isEscaped = false;
  private literal = '';

  feed(text: string): void {
    let index = 0;
    while (index < text.length) {
      if (this.string !== undefined) index = this.readString(text, index);
      else {
        this.readSign(text.charAt(index));
        index += 1;
      }
    }
  }

  outline(): string {
    this.endLiteral();
    const depth = this.deepestSeen > deepest ? `\nIt is nested ${this.deepestSeen} levels deep.` : '';
    if (this.root.count <= 1) return `JSON:\n${describeShape(this.root, 'the whole')}${depth}`;
    return `JSON, ${this.root.count} values one after another:\n${describeShape(this.root, 'each value')}${depth}`;
  }

  private readString(text: string, from: number): number {
    for (let index = from; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      if (this.isEscaped) this.isEscaped = false;
      else if (unit === 92) this.isEscaped = true;
      else if (unit === 34) {
        this.keep(text, from, index);
        this.endString();
        return index + 1;
      }
    }
    this.keep(text, from, text.length);
    return text.length;
  }

  private keep(text: string, from: number, to: number): void {
    const kept = this.string ?? '';
    if (kept.length < mostStringKept)
      this.string = kept + text.slice(from, Math.min(to, from + mostStringKept));
  }

  private endString(): void {
    const text = this.string ?? '';
    this.string = undefined;
    if (this.isKeyNext) {
      this.key = text;
      return;
    }
    const shape = this.place();
    shape?.addType('string');
    shape?.addExample(text);
  }

  private readSign(sign: string): void {
    switch (sign) {
      case '"':
        this.string = '';
        break;
      case '{':
      case '[':
        this.open(sign === '[');
        break;
      case '}':
      case ']':
        this.endLiteral();
        this.close();
        break;
      case ',':
        this.endLiteral();
        this.isKeyNext = this.depthBelow === 0 && this.stack.at(-1)?.isArray === false;
        break;
      case ':':
        this.isKeyNext = false;
        break;
      default:
        if (sign > ' ') this.literal = (this.literal + sign).slice(0, 40);
        else this.endLiteral();
    }
  }

  /** The shape of the value that begins here. */
  private place(): Shape | undefined {
    if (this.depthBelow > 0) return undefined;
    const frame = this.stack.at(-1);
    if (!frame) return this.root;
    if (!frame.isArray) return this.key === undefined ? undefined : frame.shape?.keyAt(this.key);
    frame.length += 1;
    return frame.shape?.itemShape();
  }

  private open(isArray: boolean): void {
    const shape = this.place();
    shape?.addType(isArray ? 'array' : 'object');
    if (this.depthBelow > 0 || this.stack.length >= deepest) this.depthBelow += 1;
    else this.stack.push({ shape, isArray, length: 0 });
    this.deepestSeen = Math.max(this.deepestSeen, this.stack.length + this.depthBelow);
    this.isKeyNext = !isArray && this.depthBelow === 0;
  }

  private close(): void {
    this.isKeyNext = false;
    if (this.depthBelow > 0) {
      this.depthBelow -= 1;
      return;
    }
    const frame = this.stack.pop();
    if (frame?.isArray) frame.shape?.lengths.add(frame.length);
  }

  private endLiteral(): void {
    const { literal } = this;
    if (literal === '') return;
    this.literal = '';
    const shape = this.place();
    if (!shape) return;
    const value = Number(literal);
    if (/^(true|false)$/.test(literal)) shape.addType('boolean');
    else if (literal === 'null') shape.addType('null');
    else if (!Number.isNaN(value)) {
      shape.addType('number');
      shape.numbers.add(value);
    }
  }
}
