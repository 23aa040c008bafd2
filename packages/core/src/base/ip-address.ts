/**
 * IP addresses between text and bytes, without a resolver and without regular expressions: what is read here comes
 * from strangers. Bytes are in the network's order, 4 or 16 of them. Zone identifiers (`%eth0`) are refused.
 */

export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const TEXT_CHARS_MAX = 45;
const GROUPS = 8;

/** Null for anything that is not one address, whole. */
export function parseIp(text: string): Uint8Array | null {
  if (text.length === 0 || text.length > TEXT_CHARS_MAX) return null;
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. IPv4 mapped into IPv6 is printed as the IPv4 it is. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === IPV4_BYTES) return bytes.join('.');
  const unmapped = unmapIp(bytes);
  if (unmapped.length === IPV4_BYTES) return unmapped.join('.');
  const groups = Array.from({ length: GROUPS }, (_, group) => (bytes[2 * group] << 8) | bytes[2 * group + 1]);
  const zeros = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

/** ::ffff:10.0.0.1 is 10.0.0.1: the form in which a socket that takes both families tells of IPv4. */
export function unmapIp(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== IPV6_BYTES) return bytes;
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return bytes;
  return bytes[10] === 0xff && bytes[11] === 0xff ? bytes.subarray(12) : bytes;
}

/** Four decimal numbers without leading zeros, which some programs read as octal. */
function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== IPV4_BYTES) return null;
  const bytes = new Uint8Array(IPV4_BYTES);
  for (const [index, part] of parts.entries()) {
    const value = parseDigits(part, 3, 10);
    if (value === -1 || value > 255 || (part.length > 1 && part[0] === '0')) return null;
    bytes[index] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  const gap = text.indexOf('::');
  if (gap === -1) return joinGroups(readGroups(text, true), [], false);
  // A second `::`, or `:::`, leaves an empty group behind, which readGroups refuses.
  return joinGroups(readGroups(text.slice(0, gap), false), readGroups(text.slice(gap + 2), true), true);
}

/** 16-bit groups of a part without `::`; the last may be an IPv4 address when `mayEndInIpv4`. Empty text: none. */
function readGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (mayEndInIpv4 && index === parts.length - 1 && part.includes('.')) {
      const tail = parseIpv4(part);
      if (tail === null) return null;
      groups.push((tail[0] << 8) | tail[1], (tail[2] << 8) | tail[3]);
      continue;
    }
    const value = parseDigits(part, 4, 16);
    if (value === -1) return null;
    groups.push(value);
  }
  return groups;
}

function joinGroups(head: number[] | null, tail: number[] | null, hasGap: boolean): Uint8Array | null {
  if (head === null || tail === null) return null;
  const missing = GROUPS - head.length - tail.length;
  // `::` stands for one group at least.
  if (hasGap ? missing < 1 : missing !== 0) return null;
  const bytes = new Uint8Array(IPV6_BYTES);
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  for (const [index, group] of groups.entries()) {
    bytes[2 * index] = group >> 8;
    bytes[2 * index + 1] = group & 0xff;
  }
  return bytes;
}

/** -1 when empty, longer than `charsMax`, or not all digits of the base. */
function parseDigits(text: string, charsMax: number, base: 10 | 16): number {
  if (text.length === 0 || text.length > charsMax) return -1;
  let value = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = digitOf(text.charCodeAt(index));
    if (digit < 0 || digit >= base) return -1;
    value = value * base + digit;
  }
  return value;
}

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let group = 0; group <= groups.length; group++) {
    if (group < groups.length && groups[group] === 0) continue;
    if (group - start > best.length) best = { start, length: group - start };
    start = group + 1;
  }
  return best;
}
