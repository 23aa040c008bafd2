import { IPV4_BYTES, parseIp, unmapIp } from './ip-address.js';

/** Addresses that share their first bits. Plain data: it travels in the configuration snapshot. */
export interface IpNetwork {
  /** 4 or 16 bytes; bits behind the prefix are zero. */
  address: Uint8Array;
  prefixBits: number;
}

/**
 * `10.0.0.0/8`, `2001:db8::/32`, or one address alone. Null for anything else, also for an address with bits set
 * behind the prefix: 10.1.2.3/8 is more likely a slip than a wish for all of 10.
 */
export function parseIpNetwork(text: string): IpNetwork | null {
  const read = readPrefixed(text);
  if (read === null) return null;
  for (let bit = read.prefixBits; bit < read.address.length * 8; bit++) {
    if ((read.address[bit >> 3] & (0x80 >> (bit & 7))) !== 0) return null;
  }
  return unmapped(read);
}

/** The network around an address, `192.168.1.7/24`: bits behind the prefix do not count, as in pg_hba.conf. */
export function parseNetworkAround(text: string): IpNetwork | null {
  const read = readPrefixed(text);
  return read === null ? null : networkAround(read.address, read.prefixBits);
}

export function networkAround(address: Uint8Array, prefixBits: number): IpNetwork {
  const masked = address.map(
    (byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, prefixBits - index * 8))),
  );
  return unmapped({ address: masked, prefixBits });
}

/** The prefix that a netmask means; -1 unless its bits are one run from the left. */
export function prefixBitsOf(mask: Uint8Array): number {
  let bits = 0;
  let hasEnded = false;
  for (const byte of mask) {
    for (let bit = 0x80; bit !== 0; bit >>= 1) {
      const isSet = (byte & bit) !== 0;
      if (isSet && hasEnded) return -1;
      hasEnded ||= !isSet;
      if (isSet) bits++;
    }
  }
  return bits;
}

function readPrefixed(text: string): IpNetwork | null {
  const slash = text.indexOf('/');
  const address = parseIp(slash === -1 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bitsMax = address.length * 8;
  const prefixBits = slash === -1 ? bitsMax : parsePrefix(text.slice(slash + 1), bitsMax);
  return prefixBits === -1 ? null : { address, prefixBits };
}

function unmapped({ address, prefixBits }: IpNetwork): IpNetwork {
  const plain = unmapIp(address);
  const isMapped = plain.length === IPV4_BYTES && address.length !== IPV4_BYTES;
  return isMapped && prefixBits >= 96
    ? { address: plain, prefixBits: prefixBits - 96 }
    : { address, prefixBits };
}

/** Whether the address, 4 or 16 bytes, is in the network. An IPv4 address mapped into IPv6 counts as IPv4. */
export function isInNetwork(address: Uint8Array, network: IpNetwork): boolean {
  const plain = unmapIp(address);
  if (plain.length !== network.address.length) return false;
  const wholeBytes = network.prefixBits >> 3;
  for (let index = 0; index < wholeBytes; index++) {
    if (plain[index] !== network.address[index]) return false;
  }
  const restBits = network.prefixBits & 7;
  if (restBits === 0) return true;
  const mask = (0xff << (8 - restBits)) & 0xff;
  return (plain[wholeBytes] & mask) === network.address[wholeBytes];
}

function parsePrefix(text: string, bitsMax: number): number {
  if (text.length === 0 || text.length > 3) return -1;
  let bits = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    bits = bits * 10 + digit;
  }
  return bits <= bitsMax ? bits : -1;
}
