import { Refusal } from './refusal.js';

export type UrlRules = {
  /** host names, `*.example.com` for all below one; empty: any host */
  hosts: readonly string[];
  allowHttp: boolean;
};

const longestUrl = 8192;

/**
 * Reads an absolute http(s) URL. What parsers read in different ways is refused, so that everybody who looks at the
 * address sees the same host. Throws a Refusal.
 */
export function readUrl(text: string, rules: UrlRules): URL {
  if (text.length > longestUrl) throw new Refusal(`must have at most ${longestUrl} characters`);
  if (/[\s\\\p{Cc}\p{Cf}]/u.test(text))
    throw new Refusal('must not hold spaces, control characters or backslashes');
  const [, scheme, authority = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (scheme === undefined) throw new Refusal('must be a whole URL, scheme and host included');
  if (!/^https$/i.test(scheme) && !(rules.allowHttp && /^http$/i.test(scheme))) {
    throw new Refusal(`must start with ${rules.allowHttp ? 'https:// or http://' : 'https://'}`);
  }
  if (authority.includes('@')) throw new Refusal('must not hold a user name or a password');
  const url = URL.parse(text);
  if (url === null) throw new Refusal('is not a valid URL');
  const writtenHost = authority.replace(/:\d*$/, '').toLowerCase();
  if (url.hostname !== writtenHost || url.hostname.endsWith('.')) {
    throw new Refusal('must name its host plainly: a.b.c.d, [IPv6] or a name, xn--… when international');
  }
  if (url.port === '0') throw new Refusal('must not name port 0');
  if (!isListed(url.hostname, rules.hosts))
    throw new Refusal('names a host that is not one of the allowed ones');
  return url;
}

function isListed(host: string, hosts: readonly string[]): boolean {
  if (hosts.length === 0) return true;
  return hosts.some((listed) => (listed.startsWith('*.') ? host.endsWith(listed.slice(1)) : host === listed));
}
