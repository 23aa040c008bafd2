/** PROXY headers as a load balancer would build them, and as none would. */
import { isIPv4 } from 'node:net';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

export function proxyV1(text: string): Buffer {
  return Buffer.from(`PROXY ${text}\r\n`, 'latin1');
}

export interface ProxyV2Options {
  version?: number;
  /** 0 LOCAL, 1 PROXY. */
  command?: number;
  /** Family and transport: 0x11 TCP4, 0x21 TCP6, 0x31 Unix, 0 unspecified. */
  family?: number;
  body?: Buffer;
}

export function proxyV2({
  version = 2,
  command = 1,
  family = 0x11,
  body = Buffer.alloc(0),
}: ProxyV2Options): Buffer {
  const head = Buffer.alloc(4);
  head[0] = (version << 4) | command;
  head[1] = family;
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
}

function ports(port: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port);
  bytes.writeUInt16BE(6432, 2);
  return bytes;
}

export function addresses4(source: string, port: number): Buffer {
  if (!isIPv4(source)) throw new RangeError(source);
  return Buffer.concat([
    Buffer.from(source.split('.').map(Number)),
    Buffer.from([203, 0, 113, 9]),
    ports(port),
  ]);
}

/** `source` with at most one `::`, without an IPv4 tail. */
export function addresses6(source: string, port: number): Buffer {
  const [head = '', tail = ''] = source.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  const bytes = Buffer.alloc(32);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, 2 * index);
  return Buffer.concat([bytes, ports(port)]);
}

export function tlv(type: number, value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const head = Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]);
  return Buffer.concat([head, bytes]);
}

/** Bit by bit, so that a mistake in a table cannot hide in both places. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Fills in the value of the first checksum field, `tlv(3, '\0\0\0\0')`. */
export function crcField(header: Buffer): Buffer {
  const filled = Buffer.from(header);
  const at = filled.indexOf(tlv(3, '\0\0\0\0'), 16) + 3;
  if (crc32c(Buffer.from('123456789')) !== 0xe306_9283) throw new Error('the checksum itself is wrong');
  filled.writeUInt32BE(crc32c(filled), at);
  return filled;
}
