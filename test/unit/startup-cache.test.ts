import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildStartupMessage, parseStartupPacket, type StartupMessage } from '@pgdog-cluster/core';
import { StartupCache } from '@pgdog-cluster/worker';

function parsed(packet: Uint8Array): StartupMessage {
  const message = parseStartupPacket(packet, 0, packet.length);
  assert.equal(message.kind, 'startup');
  return message as StartupMessage;
}

function known(user: string, application = 'app') {
  const packet = buildStartupMessage([
    ['user', user],
    ['application_name', application],
  ]);
  return { packet, message: parsed(packet) };
}

test('the same bytes mean what they meant, at any place and with others behind them', () => {
  const cache = new StartupCache();
  const { packet, message } = known('ann');
  assert.equal(cache.find(packet, 0, packet.length), null);
  cache.keep(packet, message);
  const among = Uint8Array.from([1, 2, 3, ...packet, 9, 9]);
  assert.equal(cache.find(among, 3, among.length), message);
  // The buffer it was learnt from is another client's a moment later.
  const copy = packet.slice();
  packet.fill(0);
  assert.equal(cache.find(copy, 0, copy.length), message);
});

test('every byte counts, and so does the last one that is missing', () => {
  const cache = new StartupCache();
  const { packet, message } = known('ann');
  cache.keep(packet, message);
  for (let at = 0; at < packet.length; at++) {
    const other = packet.slice();
    other[at] ^= 1;
    assert.equal(cache.find(other, 0, other.length), null, `byte ${at}`);
    assert.equal(cache.find(packet, 0, at), null, `the first ${at} bytes`);
  }
  assert.equal(cache.find(packet, 0, packet.length), message);
});

test('the last eight are known, those in use stay, long ones are not kept', () => {
  const cache = new StartupCache();
  const all = Array.from({ length: 9 }, (_, index) => known(`user${index}`));
  for (const { packet, message } of all.slice(0, 8)) cache.keep(packet, message);
  const [first, second, last] = [all[0], all[1], all[8]];
  assert.equal(cache.find(first.packet, 0, first.packet.length), first.message);
  cache.keep(last.packet, last.message);
  assert.equal(cache.find(first.packet, 0, first.packet.length), first.message);
  assert.equal(cache.find(second.packet, 0, second.packet.length), null);
  const long = known('long', 'x'.repeat(1100));
  cache.keep(long.packet, long.message);
  assert.equal(cache.find(long.packet, 0, long.packet.length), null);
});
