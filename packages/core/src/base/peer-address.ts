const AF_INET = 2;
const AF_INET6 = 10;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;
const IPV6_GROUPS = 8;
/** sizeof(struct sockaddr_in6), the larger of the two. */
export const SOCKADDR_BYTES_MAX = 28;

/** Address in text, as SHOW CLIENTS prints it. IPv4 mapped into IPv6 is printed as the IPv4 it is. '' for other families. */
export function readAddress(sockaddr: Uint8Array): string {
  const family = sockaddr[0] | (sockaddr[1] << 8);
  if (family === AF_INET) return sockaddr.subarray(IPV4_OFFSET, IPV4_OFFSET + 4).join('.');
  if (family !== AF_INET6) return '';
  const groups: number[] = [];
  for (let group = 0; group < IPV6_GROUPS; group++) {
    groups.push((sockaddr[IPV6_OFFSET + 2 * group] << 8) | sockaddr[IPV6_OFFSET + 2 * group + 1]);
  }
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return sockaddr.subarray(IPV6_OFFSET + 12, IPV6_OFFSET + 16).join('.');
  return formatIpv6(groups);
}

export function readPort(sockaddr: Uint8Array): number {
  return (sockaddr[2] << 8) | sockaddr[3];
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function formatIpv6(groups: number[]): string {
  let best = { start: 0, length: 1 };
  let start = 0;
  for (let group = 0; group <= groups.length; group++) {
    if (group < groups.length && groups[group] === 0) continue;
    if (group - start > best.length) best = { start, length: group - start };
    start = group + 1;
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.length < 2) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}
