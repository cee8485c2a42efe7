import type { Language } from './languages.js';

/** Code in which strings and comments are blank, so that what is left has a meaning; same length, same lines. */
export type MaskedCode = {
  text: string;
  /** by line: it holds a part of a comment */
  hasComment: boolean[];
};

const afterValue = /[\w$)\]]$/;
const regexKeyword = /\b(?:return|typeof|case|in|of|delete|void|throw|yield|await|else|do)$/;

export function maskCode(code: string, language: Language): MaskedCode {
  return new Masking(code, language).run();
}

class Masking {
  private readonly code: string;
  private readonly language: Language;
  private readonly out: string[] = [];
  private readonly hasComment: boolean[] = [false];
  private at = 0;
  /** the depth of braces at which each open `${` of a template ends */
  private readonly templates: number[] = [];
  private depth = 0;
  /** the end of what was kept last, for telling a division from a regular expression */
  private kept = '';

  constructor(code: string, language: Language) {
    this.code = code;
    this.language = language;
  }

  run(): MaskedCode {
    while (this.at < this.code.length) this.step();
    return { text: this.out.join(''), hasComment: this.hasComment };
  }

  private step(): void {
    const { code, language } = this;
    const character = code[this.at] ?? '';
    const block = language.blockComments.find(([start]) => code.startsWith(start, this.at));
    const long = language.longQuotes.find((quote) => code.startsWith(quote, this.at));
    if (block) this.comment(code.indexOf(block[1], this.at + block[0].length), block[1].length);
    else if (this.startsLineComment()) this.comment(code.indexOf('\n', this.at), 0);
    else if (long === '`' && language.isScript) this.template();
    else if (long !== undefined) this.longString(long);
    else if (language.quotes.includes(character)) this.shortString(character);
    else if (character === '/' && language.isScript && this.startsRegex()) this.regex();
    else if (character === '}' && this.templates.at(-1) === this.depth) {
      this.templates.pop();
      this.depth -= 1;
      this.template();
    } else this.keep(character);
  }

  private startsLineComment(): boolean {
    const { code, language, at } = this;
    const start = language.lineComments.find((each) => code.startsWith(each, at));
    // `$#` and `${#list}` of a shell are no comments
    return start !== undefined && (start !== '#' || at === 0 || /\s|[;(]/.test(code[at - 1] ?? ''));
  }

  private keep(character: string): void {
    this.out.push(character);
    if (character === '{') this.depth += 1;
    if (character === '}') this.depth -= 1;
    if (character === '\n') this.hasComment.push(false);
    else if (character.trim() !== '') this.kept = (this.kept + character).slice(-12);
    else if (!this.kept.endsWith(' ')) this.kept = `${this.kept} `.slice(-12);
    this.at += 1;
  }

  /** Blanks everything up to a place; strings leave a mark, so that their line is not empty. */
  private blank(end: number, isComment: boolean): void {
    for (; this.at < end; this.at += 1) {
      const isBreak = this.code[this.at] === '\n';
      if (isComment) this.hasComment[this.hasComment.length - 1] = true;
      this.out.push(isBreak ? '\n' : isComment ? ' ' : '"');
      if (isBreak) this.hasComment.push(false);
    }
    if (!isComment) this.kept = '"';
  }

  private comment(end: number, endLength: number): void {
    this.blank(end === -1 ? this.code.length : end + endLength, true);
  }

  private longString(quote: string): void {
    const end = this.code.indexOf(quote, this.at + quote.length);
    const isDocstring =
      this.language.blocks === 'indent' && /(^|[\n:])\s*$/.test(this.out.slice(-200).join(''));
    this.blank(end === -1 ? this.code.length : end + quote.length, isDocstring);
  }

  private shortString(quote: string): void {
    let end = this.at + 1;
    while (end < this.code.length && this.code[end] !== quote && this.code[end] !== '\n') {
      end += this.code[end] === '\\' ? 2 : 1;
    }
    this.blank(Math.min(this.code[end] === quote ? end + 1 : end, this.code.length), false);
  }

  /** Up to the end of a template, or to a `${` in it, after which code follows. */
  private template(): void {
    let end = this.at + 1;
    while (end < this.code.length && this.code[end] !== '`') {
      if (this.code.startsWith('${', end)) {
        this.depth += 1;
        this.templates.push(this.depth);
        end += 1;
        break;
      }
      end += this.code[end] === '\\' ? 2 : 1;
    }
    this.blank(Math.min(end + 1, this.code.length), false);
  }

  private startsRegex(): boolean {
    const before = this.kept.trimEnd();
    return regexKeyword.test(before) || !(afterValue.test(before) || before.endsWith('"'));
  }

  private regex(): void {
    let isClass = false;
    let end = this.at + 1;
    for (; end < this.code.length && this.code[end] !== '\n'; end += 1) {
      const character = this.code[end];
      if (character === '\\') end += 1;
      else if (character === '[') isClass = true;
      else if (character === ']') isClass = false;
      else if (character === '/' && !isClass) break;
    }
    // no end on this line: a division after all
    if (this.code[end] === '/') this.blank(end + 1, false);
    else this.keep('/');
  }
}
