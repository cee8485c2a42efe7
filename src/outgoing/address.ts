import ipaddr from 'ipaddr.js';

/** All that routers of the internet carry; what else parses as unicast is not given out. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** Inside networks where a service may be meant to reach its storage. */
const privateRanges: ReadonlySet<string> = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat']);

/** Clouds give out credentials at these addresses of otherwise private ranges; the usual one is link-local. */
const metadataAddresses: ReadonlySet<string> = new Set(['fd00:ec2::254', '100.100.100.200']);

/**
 * Whether requests may go to an IP address: a public one, or with `allowPrivate` one inside a network too. Never a
 * link-local, multicast, reserved or cloud metadata one, nor an IPv6 address that stands for an IPv4 one.
 */
export function isReachable(address: string, allowPrivate: boolean): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  const range: string = parsed.range();
  if (range === 'unicast') return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
  return allowPrivate && privateRanges.has(range) && !metadataAddresses.has(parsed.toString());
}
