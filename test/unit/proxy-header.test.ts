import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_HEADER_BYTES_MAX, type ProxyHeaderVerdict, parseProxyHeader } from '@pgdog-cluster/core';
import { addresses4, addresses6, crcField, proxyV1, proxyV2, tlv } from '../support/proxy-header.js';

const parse = (bytes: Buffer): ProxyHeaderVerdict => parseProxyHeader(bytes, 0, bytes.length);
const AFTER = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** The verdict, with the header at an odd place and the client's own bytes behind. */
function read(header: Buffer): ProxyHeaderVerdict {
  const bytes = Buffer.concat([Buffer.from('xyz'), header, AFTER]);
  return parseProxyHeader(bytes, 3, bytes.length);
}

function refusal(header: Buffer): string {
  const verdict = read(header);
  assert.equal(verdict.kind, 'refused', header.toString('latin1'));
  return verdict.kind === 'refused' ? verdict.reason : '';
}

const from = (addr: string, port: number, headerBytes: number): ProxyHeaderVerdict => ({
  kind: 'header',
  headerBytes,
  isLocal: false,
  source: { addr, port },
});

test('version 1: addresses of both families, and UNKNOWN with whatever follows', () => {
  const four = proxyV1('TCP4 192.0.2.7 203.0.113.9 35646 6432');
  assert.deepEqual(read(four), from('192.0.2.7', 35_646, four.length));
  const six = proxyV1('TCP6 2001:DB8::0:7 ::1 65535 0');
  assert.deepEqual(read(six), from('2001:db8::7', 65_535, six.length));
  const mapped = proxyV1('TCP6 ::ffff:10.0.0.1 ::1 1 2');
  assert.deepEqual(read(mapped), from('10.0.0.1', 1, mapped.length), 'one address has one text');
  for (const text of ['UNKNOWN', 'UNKNOWN ffff:: what ever', `UNKNOWN ${'x'.repeat(107 - 16)}`]) {
    const header = proxyV1(text);
    assert.deepEqual(read(header), {
      kind: 'header',
      headerBytes: header.length,
      isLocal: false,
      source: null,
    });
  }
  const longest = proxyV1(`TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535`);
  assert.equal(longest.length, 104);
  assert.equal(read(longest).kind, 'header');
});

test('version 1: what is refused', () => {
  for (const [text, reason] of [
    ['TCP4 ::1 ::1 1 2', 'family'],
    ['TCP6 1.2.3.4 1.2.3.4 1 2', 'family'],
    ['TCP4 1.2.3.4 1.2.3.256 1 2', 'family'],
    ['TCP4 01.2.3.4 1.2.3.4 1 2', 'family'],
    ['TCP4 localhost 1.2.3.4 1 2', 'family'],
    ['TCP4 1.2.3.4 1.2.3.4 1', 'two ports'],
    ['TCP4 1.2.3.4 1.2.3.4 1 2 3', 'two ports'],
    ['TCP4  1.2.3.4 1.2.3.4 1 2', 'two ports'],
    ['TCP4 1.2.3.4 1.2.3.4 65536 2', 'port'],
    ['TCP4 1.2.3.4 1.2.3.4 1 -2', 'port'],
    ['TCP4 1.2.3.4 1.2.3.4 01 2', 'port'],
    ['TCP4 1.2.3.4 1.2.3.4 1 2e1', 'port'],
    ['UDP4 1.2.3.4 1.2.3.4 1 2', 'TCP4, TCP6 or UNKNOWN'],
    ['unknown', 'TCP4, TCP6 or UNKNOWN'],
    ['', 'TCP4, TCP6 or UNKNOWN'],
    ['UNKNOWN\0', 'ASCII'],
    [`UNKNOWN ${'x'.repeat(107 - 15)}`, '107 bytes'],
  ]) {
    assert.ok(refusal(proxyV1(text)).includes(reason), `${text}: ${refusal(proxyV1(text))}`);
  }
  assert.match(refusal(Buffer.from('PROXY UNKNOWN\rx')), /CR without LF/);
  assert.match(refusal(Buffer.from('PROXY UNKNOWN\n')), /ASCII/);
  assert.match(refusal(Buffer.from('PROXX UNKNOWN\r\n')), /"PROXY "/);
  assert.match(refusal(Buffer.from('POST / HTTP/1.1\r\n')), /"PROXY "/);
  assert.match(refusal(Buffer.concat([Buffer.from('PROXY UNKNOWN '), Buffer.alloc(200, 0x41)])), /107 bytes/);
});

test('version 2: both families, fields skipped, LOCAL and UNSPEC keep the address of the socket', () => {
  const four = proxyV2({ body: addresses4('192.0.2.7', 35_646) });
  assert.deepEqual(read(four), from('192.0.2.7', 35_646, 28));
  const fields = Buffer.concat([tlv(0xea, 'vpce-0123456789'), tlv(4, ''), tlv(0x20, 'x'.repeat(300))]);
  const six = proxyV2({ family: 0x21, body: Buffer.concat([addresses6('2001:db8::7', 5), fields]) });
  assert.deepEqual(read(six), from('2001:db8::7', 5, six.length));
  const none = (header: Buffer, isLocal: boolean): void =>
    assert.deepEqual(read(header), { kind: 'header', headerBytes: header.length, isLocal, source: null });
  none(proxyV2({ command: 0, family: 0 }), true);
  none(proxyV2({ command: 0, family: 0x11, body: addresses4('192.0.2.7', 1) }), true);
  none(proxyV2({ command: 0, family: 0xff, body: Buffer.from('anything') }), true);
  none(proxyV2({ family: 0, body: tlv(1, 'postgresql') }), false);
  none(proxyV2({ family: 0x31, body: Buffer.alloc(216) }), false);
  const largest = proxyV2({ family: 0, body: tlv(0x20, 'x'.repeat(PROXY_HEADER_BYTES_MAX - 16 - 3)) });
  assert.equal(largest.length, PROXY_HEADER_BYTES_MAX);
  none(largest, false);
});

test('version 2: the checksum is looked at where there is one', () => {
  for (const family of [0x11, 0x21, 0]) {
    const body =
      family === 0 ? Buffer.alloc(0) : family === 0x11 ? addresses4('192.0.2.7', 9) : addresses6('::7', 9);
    const header = crcField(
      proxyV2({ family, body: Buffer.concat([body, tlv(0xe1, 'abc'), tlv(3, '\0\0\0\0'), tlv(2, 'z')]) }),
    );
    assert.equal(read(header).kind, 'header', `family ${family}`);
    const typeAt = header.lastIndexOf(Buffer.from([3, 0, 4]));
    for (let at = 16; at < header.length; at++) {
      // Without its type it is no checksum any more.
      if (at === typeAt) continue;
      const wrong = Buffer.from(header);
      wrong[at] ^= 1;
      assert.equal(read(wrong).kind, 'refused', `family ${family}, byte ${at}`);
    }
  }
  const body = addresses4('192.0.2.7', 9);
  assert.match(refusal(proxyV2({ body: Buffer.concat([body, tlv(3, 'abc')]) })), /malformed checksum/);
  const twice = crcField(proxyV2({ body: Buffer.concat([body, tlv(3, '\0\0\0\0'), tlv(3, '\0\0\0\0')]) }));
  assert.match(refusal(twice), /checksum/);
});

test('version 2: what is refused', () => {
  const body = addresses4('192.0.2.7', 1);
  assert.match(refusal(proxyV2({ version: 1, body })), /version 1 is not known/);
  assert.match(refusal(proxyV2({ version: 3, body })), /version 3/);
  assert.match(refusal(proxyV2({ command: 2, body })), /command 2/);
  assert.match(refusal(proxyV2({ family: 0x12, body })), /not a stream/);
  assert.match(refusal(proxyV2({ family: 0x10, body })), /not a stream/);
  assert.match(refusal(proxyV2({ family: 0x41, body })), /family 4/);
  assert.match(refusal(proxyV2({ family: 0x21, body })), /too short/);
  assert.match(refusal(proxyV2({ body: body.subarray(0, 11) })), /too short/);
  assert.match(refusal(proxyV2({ body: Buffer.concat([body, Buffer.from([1])]) })), /cut off/);
  assert.match(
    refusal(proxyV2({ body: Buffer.concat([body, Buffer.from([1, 0, 9, 1])]) })),
    /longer than the header/,
  );
  const header = proxyV2({ body: Buffer.alloc(0) });
  header.writeUInt16BE(PROXY_HEADER_BYTES_MAX - 16 + 1, 14);
  assert.match(refusal(header), /the limit is/, 'before the bytes have come');
  const signature = proxyV2({ body });
  signature[11] = 0x0b;
  assert.match(refusal(signature), /but is none/);
});

test('at every split the beginning is incomplete, the whole is the same; a byte too few never is a header', () => {
  const headers = [
    proxyV1('TCP4 192.0.2.7 203.0.113.9 35646 6432'),
    proxyV1('UNKNOWN'),
    proxyV2({ body: Buffer.concat([addresses4('192.0.2.7', 35_646), tlv(0xea, 'abc')]) }),
    crcField(proxyV2({ family: 0x21, body: Buffer.concat([addresses6('::7', 1), tlv(3, '\0\0\0\0')]) })),
    proxyV2({ command: 0, family: 0 }),
  ];
  for (const header of headers) {
    for (let end = 0; end < header.length; end++) {
      assert.equal(parse(header.subarray(0, end)).kind, 'incomplete', `${end} of ${header.length}`);
    }
    const whole = parse(header);
    assert.ok(whole.kind === 'header' && whole.headerBytes === header.length);
  }
});

test('damaged headers get a verdict within bounds, and none is taken for a longer one than it is', () => {
  const seed = Number(process.env.PGDOG_TEST_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const headers = [
    proxyV1('TCP6 2001:db8::7 ::1 35646 6432'),
    proxyV2({ family: 0x21, body: Buffer.concat([addresses6('::7', 1), tlv(0xea, 'abc'), tlv(4, '')]) }),
    proxyV2({ body: addresses4('192.0.2.7', 35_646) }),
  ];
  for (let round = 0; round < 30_000; round++) {
    const bytes = Buffer.concat([headers[below(headers.length)], Buffer.alloc(below(60), below(256))]);
    for (let hits = below(4); hits > 0; hits--) bytes[below(bytes.length)] = below(256);
    const end = below(bytes.length + 1);
    const verdict = parseProxyHeader(bytes, 0, end);
    if (verdict.kind !== 'header') continue;
    assert.ok(verdict.headerBytes <= end, `seed ${seed}, round ${round}`);
    assert.ok(verdict.source === null || (verdict.source.port <= 65_535 && verdict.source.addr !== ''));
  }
});

test('what begins no header is none, whatever follows', () => {
  for (let byte = 0; byte < 256; byte++) {
    if (byte === 0x50 || byte === 0x0d) continue;
    assert.equal(parse(Buffer.from([byte, 1, 2, 3])).kind, 'none');
  }
  assert.equal(parse(AFTER).kind, 'none');
});
