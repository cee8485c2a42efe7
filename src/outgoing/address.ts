import ipaddr from 'ipaddr.js';

/** All that routers of the internet carry; what else parses as unicast is not given out. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** Inside networks where a service may be meant to reach its storage. */
const privateRanges: ReadonlySet<string> = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);

/** Where clouds give out credentials beside the usual link-local address, the first of them in a public range. */
const metadataRanges = [
  '168.63.129.16/32', // Azure
  '100.100.100.200/32', // Alibaba
  'fd00:ec2::/32', // AWS
  'fd20:ce::/32', // Google
  'fd00:c1::/32', // Oracle
  'fd00:42::/32', // Scaleway
].map((range) => ipaddr.parseCIDR(range));

/**
 * Whether requests may go to an IP address: a public one, or with `allowPrivate` one inside a network too. Never a
 * link-local, multicast, reserved or cloud metadata one, nor an IPv6 address that stands for an IPv4 one.
 */
export function isReachable(address: string, allowPrivate: boolean): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  const range: string = parsed.range();
  if (metadataRanges.some(([start, bits]) => start.kind() === parsed.kind() && parsed.match(start, bits))) {
    return false;
  }
  if (range === 'unicast') return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
  return allowPrivate && privateRanges.has(range);
}
