import { createHash } from 'node:crypto';

/** What every provider accepts as the name of a tool. */
const mostNameChars = 64;
const hashChars = 8;

/**
 * The name under which a server's tool is offered: `<server>__<tool>`. One that is too long or holds other characters
 * gets a hash of the whole name at its end, so that it stays unique and the same from start to start.
 */
export function toolNameOf(server: string, tool: string): string {
  const name = `${server}__${tool}`;
  const plain = name.replaceAll(/[^a-zA-Z0-9_-]/g, '_');
  if (plain === name && name.length <= mostNameChars) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, hashChars);
  return `${plain.slice(0, mostNameChars - hashChars - 1)}_${hash}`;
}
