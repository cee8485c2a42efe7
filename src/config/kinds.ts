import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { resolve } from 'node:path';

/** One way to write a value: how its text is read, and what a reader of the docs has to know about it. */
export type Kind<T> = {
  /** The value of a trimmed text; throws InvalidValue, whose message continues "NAME must …". */
  parse(text: string): T;
  unit?: string;
  /** never shown, and readable from the file that NAME_FILE names */
  isSecret?: true;
};

/** Why a text is not a value of its kind. The message never quotes the text. */
export class InvalidValue extends Error {}

const trueWords = ['true', '1', 'yes', 'on'];
const falseWords = ['false', '0', 'no', 'off'];

export const boolean: Kind<boolean> = {
  parse(text) {
    const word = text.toLowerCase();
    if (trueWords.includes(word)) return true;
    if (falseWords.includes(word)) return false;
    throw new InvalidValue('be true or false');
  },
};

export function wholeNumber(from: number, to: number, unit?: string): Kind<number> {
  return {
    ...(unit !== undefined && { unit }),
    parse(text) {
      const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
      if (value >= from && value <= to) return value;
      throw new InvalidValue(`be a whole number from ${from} to ${to}`);
    },
  };
}

/** A limit that is off unless it is set, which somebody may try to say with 0. */
export function offUnlessSet<T>(kind: Kind<T>): Kind<T> {
  return {
    ...kind,
    parse(text) {
      try {
        return kind.parse(text);
      } catch (error) {
        if (!(error instanceof InvalidValue)) throw error;
        throw new InvalidValue(`${error.message}; leave it unset for no limit`);
      }
    },
  };
}

const mostDollars = 1_000_000;

export const dollars: Kind<number> = {
  unit: 'US dollars',
  parse(text) {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value > 0 && value <= mostDollars) return value;
    throw new InvalidValue(`be an amount of US dollars above 0, at most ${mostDollars}`);
  },
};

/** The longest wait that a timer takes (2^31 - 1 ms), in whole seconds. */
const longestSeconds = 2_147_483;

/** Written in seconds, decimals allowed; the value is in milliseconds. */
export function seconds(from: number): Kind<number> {
  return {
    unit: 'seconds',
    parse(text) {
      const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
      if (value >= from && value <= longestSeconds) return Math.round(value * 1000);
      throw new InvalidValue(`be a number of seconds from ${from} to ${longestSeconds}`);
    },
  };
}

export function fraction(from: number): Kind<number> {
  return {
    parse(text) {
      const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
      if (value >= from && value <= 1) return value;
      throw new InvalidValue(`be a number from ${from} to 1`);
    },
  };
}

export function oneOf<const T extends string>(choices: readonly T[]): Kind<T> {
  return {
    parse(text) {
      const choice = choices.find((each) => each === text.toLowerCase());
      if (choice !== undefined) return choice;
      throw new InvalidValue(`be one of ${choices.join(', ')}`);
    },
  };
}

export const name: Kind<string> = {
  parse(text) {
    if (/^[\x21-\x7e]{1,256}$/.test(text)) return text;
    throw new InvalidValue('be a name of at most 256 characters without spaces');
  },
};

export const lowerCaseName: Kind<string> = { parse: (text) => name.parse(text).toLowerCase() };

export const host: Kind<string> = {
  parse(text) {
    const bare = text.replace(/^\[(.*)\]$/, '$1');
    if (isIP(bare) !== 0 || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(bare)) return bare;
    throw new InvalidValue('be a host name or an IP address, without a port');
  },
};

export const timezone: Kind<string> = {
  parse(text) {
    if (/^[a-z]/i.test(text) && isTimeZone(text)) return text;
    throw new InvalidValue('be an IANA time zone such as Europe/Berlin');
  },
};

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }) !== undefined;
  } catch {
    return false;
  }
}

export const secret: Kind<string> = {
  isSecret: true,
  parse(text) {
    if (/^["'].*["']$/.test(text)) throw new InvalidValue('be given without quotes around it');
    if (/^[\x21-\x7e]+$/.test(text)) return text;
    throw new InvalidValue('be one line of plain characters without spaces inside');
  },
};

/** Any text in which secrets may be; what it means is checked by its reader. */
export const secretText: Kind<string> = { isSecret: true, parse: (text) => text };

/** The root of a Chat Completions server: `/v1` where no path is given, no slash at the end. */
export const baseUrl: Kind<string> = {
  parse(text) {
    const { origin, path } = toAddress(text);
    return origin + (path === '' ? '/v1' : path);
  },
};

/** The root of a server whose client adds the rest of the path; no slash at the end. */
export const rootUrl: Kind<string> = {
  parse(text) {
    const { origin, path } = toAddress(text);
    return origin + path;
  },
};

function toAddress(text: string): { origin: string; path: string } {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null) throw new InvalidValue('be a URL that starts with http:// or https://');
  if (url.username !== '' || url.password !== '')
    throw new InvalidValue('not hold a user name or a password');
  if (/[?#]/.test(text)) throw new InvalidValue('not hold a query or a fragment (? or #)');
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, '') };
}

/** Any address, query included. */
export const url: Kind<string> = {
  parse(text) {
    const address = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
    if (address === null) throw new InvalidValue('be a URL that starts with http:// or https://');
    if (address.username !== '' || address.password !== '')
      throw new InvalidValue('not hold a user name or a password');
    return address.href;
  },
};

/** A proxy may have a user name and a password, and its scheme is often left out. */
export const proxyUrl: Kind<string> = {
  parse(text) {
    const url = URL.parse(text.includes('://') ? text : `http://${text}`);
    if (url !== null && /^https?:$/.test(url.protocol) && /^\/?$/.test(url.pathname)) return url.href;
    throw new InvalidValue('be the address of a proxy such as http://proxy.example.com:3128');
  },
};

export const region: Kind<string> = {
  parse(text) {
    if (/^[a-z]{2,}(-[a-z0-9]+)+$/.test(text)) return text;
    throw new InvalidValue('be a region of AWS such as eu-central-1');
  },
};

/** Not empty, on one line. */
export const line: Kind<string> = {
  parse(text) {
    if (/^[^\p{Cc}]+$/u.test(text)) return text;
    throw new InvalidValue('be one line without control characters');
  },
};

/** A file or folder of this machine as an absolute path; `~` at its start is the home directory. */
export const path: Kind<string> = {
  parse(text) {
    return resolve(withHome(line.parse(text)));
  },
};

/** A path whose `~` at its start is the home directory. */
export function withHome(text: string): string {
  return text.replace(/^~(?=\/|$)/, homedir);
}

/** The address of a Redis server, which may hold its password. */
export const redisUrl: Kind<string> = {
  isSecret: true,
  parse(text) {
    const url = /^[\x21-\x7e]+$/.test(text) ? URL.parse(text) : null;
    const isRedis = url?.protocol === 'redis:' || url?.protocol === 'rediss:';
    if (isRedis && url.hostname !== '' && /^(\/\d*)?$/.test(url.pathname)) return text;
    throw new InvalidValue('be the address of a Redis server such as redis://localhost:6379');
  },
};

/** Comma-separated host names or addresses without a port, `*.example.com` for all names below one. */
export const hostPatterns: Kind<string[]> = {
  parse(text) {
    const items = text.split(',').map((item) => item.trim().toLowerCase());
    return items.filter((item) => item !== '').map(toHostPattern);
  },
};

function toHostPattern(text: string): string {
  const bare = text.replace(/^\*\./, '');
  const isAddress = /^[\d.]+$|^\[/.test(bare);
  const isPlain = URL.parse(`https://${bare}/`)?.hostname === bare && !/[*]|\.$/.test(bare);
  if (isPlain && !(isAddress && bare !== text)) return text;
  throw new InvalidValue('be a comma-separated list of hosts such as files.example.com or *.example.com');
}

/** Comma-separated origins as a browser sends them, or `*`. An empty text is an empty list. */
export const origins: Kind<string[]> = {
  parse(text) {
    const items = text.split(',').map((item) => item.trim());
    return items.filter((item) => item !== '').map(toOrigin);
  },
};

function toOrigin(text: string): string {
  if (text === '*') return text;
  const url = /^https?:\/\/[^*]+$/i.test(text) ? URL.parse(text) : null;
  if (url !== null && `${url.origin}/` === url.href && !/[?#]/.test(text)) return url.origin;
  throw new InvalidValue('be a comma-separated list of origins such as https://app.example.com, or *');
}
