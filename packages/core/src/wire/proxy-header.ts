/**
 * The PROXY protocol, versions 1 (one line of text) and 2 (binary), as HAProxy's proxy-protocol.txt describes
 * them: what a load balancer puts in front of the client's first byte to say who the client is. Pure: bytes in,
 * verdict out.
 */
import { crc32c } from '../base/crc32c.js';
import { formatIp, IPV4_BYTES, IPV6_BYTES, parseIp } from '../base/ip-address.js';
import { readLength } from './message-type.js';

/** Longest line of version 1, its end included; section 2.1. */
export const PROXY_V1_BYTES_MAX = 107;
const V1_START = latin1('PROXY ');
const V2_SIGNATURE = new Uint8Array([0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_HEAD_BYTES = 16;
/** Twice what the largest known senders add (addresses, TLS facts, ids of cloud networks); the length field could say 64 KB. */
const V2_BODY_BYTES_MAX = 2032;
/** No longer header is ever awaited, so this bounds what a sender can make us keep. */
export const PROXY_HEADER_BYTES_MAX = V2_HEAD_BYTES + V2_BODY_BYTES_MAX;

const CR = 0x0d;
const LF = 0x0a;
const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const FAMILY_UNSPECIFIED = 0;
const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;
const FAMILY_UNIX = 3;
const TRANSPORT_STREAM = 1;
/** Length of the address block by family: two addresses and two ports, or two paths. */
const ADDRESS_BYTES: readonly number[] = [0, 12, 36, 216];
const TLV_HEAD_BYTES = 3;
const TLV_CRC32C = 3;

export interface ProxyHeader {
  kind: 'header';
  headerBytes: number;
  /** The connection is the balancer's own (a health check): the addresses of the socket count. */
  isLocal: boolean;
  /** Of the client; null when the header does not say (UNKNOWN, UNSPEC, a Unix socket over there): those of the socket count. */
  source: { addr: string; port: number } | null;
}

/** `none`: the first byte begins no header, whatever follows. */
export type ProxyHeaderVerdict =
  | ProxyHeader
  | { kind: 'incomplete' }
  | { kind: 'none' }
  | { kind: 'refused'; reason: string };

const INCOMPLETE: ProxyHeaderVerdict = { kind: 'incomplete' };

/** bytes[start, end): what the connection began with so far. */
export function parseProxyHeader(bytes: Uint8Array, start: number, end: number): ProxyHeaderVerdict {
  if (start === end) return INCOMPLETE;
  if (bytes[start] === V1_START[0]) return parseV1(bytes, start, end);
  if (bytes[start] === V2_SIGNATURE[0]) return parseV2(bytes, start, end);
  return { kind: 'none' };
}

/** Whether what was sent where a start-up packet belongs begins as a PROXY header of either version. */
export function looksLikeProxyHeader(bytes: Uint8Array, start: number, end: number): boolean {
  const has = (prefix: Uint8Array): boolean => end - start >= 4 && isPrefix(bytes, start, end, prefix);
  return has(V1_START) || has(V2_SIGNATURE);
}

function refuse(reason: string): ProxyHeaderVerdict {
  return { kind: 'refused', reason };
}

/** Every byte there is agrees with `prefix`; fewer bytes than the prefix may be there. */
function isPrefix(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  const count = Math.min(end - start, prefix.length);
  for (let index = 0; index < count; index++) if (bytes[start + index] !== prefix[index]) return false;
  return true;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** `PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n` */
function parseV1(bytes: Uint8Array, start: number, end: number): ProxyHeaderVerdict {
  if (!isPrefix(bytes, start, end, V1_START)) return refuse('it begins as version 1, but not with "PROXY "');
  const limit = Math.min(end, start + PROXY_V1_BYTES_MAX);
  let at = start;
  while (at < limit && bytes[at] !== CR) {
    // Printable ASCII is all that a line may have; anything else never becomes one.
    if (bytes[at] < 0x20 || bytes[at] > 0x7e) return refuse('version 1: not a line of ASCII text');
    at++;
  }
  // The line end is two bytes, and both must be within the limit.
  if (at + 1 >= start + PROXY_V1_BYTES_MAX)
    return refuse(`version 1: longer than ${PROXY_V1_BYTES_MAX} bytes`);
  if (at + 1 >= end) return INCOMPLETE;
  if (bytes[at + 1] !== LF) return refuse('version 1: CR without LF');
  const line = String.fromCharCode(...bytes.subarray(start + V1_START.length, at));
  return readLine(line, at + 2 - start);
}

function readLine(line: string, headerBytes: number): ProxyHeaderVerdict {
  const words = line.split(' ');
  // Whatever follows UNKNOWN is to be ignored.
  if (words[0] === 'UNKNOWN') return { kind: 'header', headerBytes, isLocal: false, source: null };
  const family = words[0] === 'TCP4' ? IPV4_BYTES : words[0] === 'TCP6' ? IPV6_BYTES : 0;
  if (family === 0) return refuse('version 1: expected TCP4, TCP6 or UNKNOWN');
  if (words.length !== 5) return refuse('version 1: expected two addresses and two ports');
  const [, source, destination, sourcePort, destinationPort] = words;
  const address = parseIp(source);
  if (address?.length !== family || parseIp(destination)?.length !== family) {
    return refuse(`version 1: an address is not of family ${words[0]}`);
  }
  const port = parsePort(sourcePort);
  if (port === -1 || parsePort(destinationPort) === -1)
    return refuse('version 1: a port is not from 0 to 65535');
  return { kind: 'header', headerBytes, isLocal: false, source: { addr: formatIp(address), port } };
}

/** Decimal without sign, blank or leading zero; -1 when it is none. */
function parsePort(text: string): number {
  if (text.length === 0 || text.length > 5 || (text.length > 1 && text[0] === '0')) return -1;
  let port = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port <= 65_535 ? port : -1;
}

/** Signature, version and command, family and transport, length; addresses; then type-length-value fields. */
function parseV2(bytes: Uint8Array, start: number, end: number): ProxyHeaderVerdict {
  if (!isPrefix(bytes, start, end, V2_SIGNATURE)) return refuse('it begins as version 2, but is none');
  if (end - start < V2_HEAD_BYTES) return INCOMPLETE;
  const version = bytes[start + 12] >> 4;
  const command = bytes[start + 12] & 0xf;
  if (version !== 2) return refuse(`version ${version} is not known`);
  if (command > COMMAND_PROXY) return refuse(`version 2: command ${command} is not known`);
  const bodyBytes = (bytes[start + 14] << 8) | bytes[start + 15];
  // Judged before anything is awaited.
  if (bodyBytes > V2_BODY_BYTES_MAX) {
    return refuse(`version 2: ${bodyBytes} bytes of addresses and fields, the limit is ${V2_BODY_BYTES_MAX}`);
  }
  const headerEnd = start + V2_HEAD_BYTES + bodyBytes;
  if (end < headerEnd) return INCOMPLETE;
  return readBody(bytes, start, headerEnd, command === COMMAND_LOCAL);
}

function readBody(bytes: Uint8Array, start: number, end: number, isLocal: boolean): ProxyHeaderVerdict {
  const headerBytes = end - start;
  const family = bytes[start + 13] >> 4;
  const transport = bytes[start + 13] & 0xf;
  // What LOCAL says of families and addresses is to be ignored; without a family only fields can follow.
  if (isLocal && family !== FAMILY_UNSPECIFIED) return { kind: 'header', headerBytes, isLocal, source: null };
  if (family > FAMILY_UNIX) return refuse(`version 2: address family ${family} is not known`);
  if (family !== FAMILY_UNSPECIFIED && transport !== TRANSPORT_STREAM) {
    return refuse(`version 2: transport ${transport} is not a stream`);
  }
  const addresses = start + V2_HEAD_BYTES;
  const fields = addresses + ADDRESS_BYTES[family];
  if (fields > end) return refuse('version 2: too short for its addresses');
  const problem = checkFields(bytes, start, fields, end);
  if (problem !== '') return refuse(problem);
  return {
    kind: 'header',
    headerBytes,
    isLocal,
    source: isLocal ? null : readSource(bytes, addresses, family),
  };
}

function readSource(bytes: Uint8Array, at: number, family: number): ProxyHeader['source'] {
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) return null;
  const size = family === FAMILY_IPV4 ? IPV4_BYTES : IPV6_BYTES;
  // Source address, destination address, source port, destination port.
  const port = at + 2 * size;
  return { addr: formatIp(bytes.subarray(at, at + size)), port: (bytes[port] << 8) | bytes[port + 1] };
}

/** Walks the fields to the end; only the checksum is looked at. Empty, or what is wrong. */
function checkFields(bytes: Uint8Array, start: number, fieldsStart: number, end: number): string {
  let at = fieldsStart;
  let isChecked = false;
  while (at < end) {
    if (end - at < TLV_HEAD_BYTES) return 'version 2: a field is cut off';
    const type = bytes[at];
    const value = at + TLV_HEAD_BYTES;
    const next = value + ((bytes[at + 1] << 8) | bytes[at + 2]);
    if (next > end) return 'version 2: a field is longer than the header';
    if (type === TLV_CRC32C) {
      if (isChecked || next - value !== 4) return 'version 2: malformed checksum';
      isChecked = true;
      const told = readLength(bytes, value);
      if (told !== crc32c(bytes, start, end, value, next)) return 'version 2: wrong checksum';
    }
    at = next;
  }
  return '';
}
