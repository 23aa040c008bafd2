import assert from 'node:assert/strict';
import { isIP, isIPv6 } from 'node:net';
import { test } from 'node:test';
import { formatIp, isInNetwork, parseIp, parseIpNetwork } from '@pgdog-cluster/core';

function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('addresses are read and printed in their shortest form', () => {
  for (const [text, printed] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['fe80::1:0:2:3', 'fe80::1:0:2:3'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0a01:0203', '10.1.2.3'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ]) {
    const bytes = parseIp(text);
    assert.ok(bytes !== null, text);
    assert.equal(formatIp(bytes), printed);
  }
});

test('what is no address, whole, is none', () => {
  for (const text of [
    ...[
      '',
      ' ',
      '1',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      '1.2.3.4 ',
      '+1.2.3.4',
      '0x1.2.3.4',
      '1..2.3',
    ],
    ...[
      ':',
      ':::',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
      '12345::',
      'g::',
      '::1%eth0',
      '1:2:3:4:5:6:7:8::',
    ],
    ...[
      '1.2.3.4::',
      '::1.2.3',
      '::1.2.3.4:5',
      ':1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:',
      `${'0'.repeat(46)}`,
      '::1\n',
    ],
  ]) {
    assert.equal(parseIp(text), null, JSON.stringify(text));
  }
});

test('random texts: the verdict is node:net’s, and what is printed is read as the same address', () => {
  const seed = Number(process.env.PGDOG_TEST_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const pieces = [
    '0',
    '1',
    'ff',
    'FFFF',
    '255',
    '256',
    '01',
    ':',
    '::',
    '.',
    '1.2.3.4',
    'a:b',
    '%',
    'g',
    ':0:',
  ];
  for (let round = 0; round < 20_000; round++) {
    const count = 1 + Math.floor(random() * 9);
    const text = Array.from({ length: count }, () => pieces[Math.floor(random() * pieces.length)]).join('');
    const bytes = parseIp(text);
    const expected = text.includes('%') ? 0 : isIP(text);
    assert.equal(bytes === null ? 0 : bytes.length === 4 ? 4 : 6, expected, `seed ${seed}: ${text}`);
    if (bytes === null) continue;
    const again = parseIp(formatIp(bytes));
    assert.deepEqual(again?.slice(-4), bytes.slice(-4), text);
    if (again?.length === 16) assert.deepEqual(again, bytes, text);
  }
  assert.ok(isIPv6(formatIp(new Uint8Array(16).fill(0xab))));
});

test('networks: prefixes of every length, families kept apart, mapped addresses counted as IPv4', () => {
  const isIn = (address: string, network: string): boolean => {
    const [ip, net] = [parseIp(address), parseIpNetwork(network)];
    assert.ok(ip !== null && net !== null, `${address} ${network}`);
    return isInNetwork(ip, net);
  };
  assert.ok(isIn('10.255.0.1', '10.0.0.0/8'));
  assert.ok(!isIn('11.0.0.1', '10.0.0.0/8'));
  assert.ok(isIn('10.1.2.255', '10.1.2.128/25'));
  assert.ok(!isIn('10.1.2.127', '10.1.2.128/25'));
  assert.ok(isIn('1.2.3.4', '0.0.0.0/0'));
  assert.ok(!isIn('::1', '0.0.0.0/0'), 'IPv6 is no part of all of IPv4');
  assert.ok(!isIn('1.2.3.4', '::/0'));
  assert.ok(isIn('::ffff:10.0.0.1', '10.0.0.0/8'));
  assert.ok(isIn('10.0.0.1', '::ffff:10.0.0.0/104'));
  assert.ok(isIn('192.0.2.7', '192.0.2.7') && !isIn('192.0.2.8', '192.0.2.7'));
  assert.ok(isIn('2001:db8:ffff::', '2001:db8::/32') && !isIn('2001:db9::', '2001:db8::/32'));
  for (let bits = 0; bits <= 32; bits++) {
    const value = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
    const base = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
    assert.ok(isIn('255.255.255.255', `${base}/${bits}`), `${base}/${bits}`);
    if (bits > 0) assert.ok(!isIn('127.255.255.255', `${base}/${bits}`));
  }
});

test('networks that are none, or that have bits behind their prefix', () => {
  for (const text of [
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.1.0.0/8',
    '10.0.0.0/ 8',
    'all',
  ]) {
    assert.equal(parseIpNetwork(text), null, text);
  }
});
