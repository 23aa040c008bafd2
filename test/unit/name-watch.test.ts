import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { HostAddress, HostSnapshot } from '@pgdog-cluster/core';
import { NameWatch, toHostAddress } from 'pgdog-cluster';
import { eventually, sleep } from '../support/wire.js';

const PORT = 5432;
const at = (...texts: string[]): HostAddress[] => texts.map((text) => toHostAddress(text, PORT));
const host = (name: string, ...texts: string[]): HostSnapshot => ({
  index: 7,
  host: name,
  port: PORT,
  addresses: at(...texts),
});

interface Rig {
  watch: NameWatch;
  asked: string[];
  changes: string[];
  lost: string[];
  answer: string[];
}

describe('names of hosts', () => {
  const rigs: Rig[] = [];
  afterEach(() => {
    for (const { watch } of rigs.splice(0)) watch.close();
  });

  function makeRig(recordTtlMs: number | null = null): Rig {
    const rig: Omit<Rig, 'watch'> = { asked: [], changes: [], lost: [], answer: [] };
    const watch = new NameWatch({
      resolve: async (name) => {
        rig.asked.push(name);
        return at(...rig.answer);
      },
      ttlMs: async () => recordTtlMs,
      onChange: (_, addresses) => void rig.changes.push(addresses.map(({ text }) => text).join()),
      onLost: ({ host: name }) => void rig.lost.push(name),
    });
    const made = Object.assign(rig, { watch });
    rigs.push(made);
    return made;
  }

  it('are asked again after dns_ttl, and what has changed is told once', async () => {
    const rig = makeRig();
    rig.answer = ['10.0.0.2'];
    rig.watch.takeUp([host('db.example', '10.0.0.1')], 10);
    await eventually('the change is told', async () => rig.changes.length > 0);
    await eventually('it is asked on', async () => rig.asked.length > 3);
    assert.deepEqual(rig.changes, ['10.0.0.2']);
  });

  it('go on being watched over a reload, and others come and go beside them', async () => {
    const rig = makeRig();
    rig.answer = ['10.0.0.1'];
    const other = { ...host('other.example', '10.0.0.1'), index: 8 };
    rig.watch.takeUp([host('db.example', '10.0.0.1')], 60_000);
    rig.watch.add([other]);
    rig.watch.takeUp([host('db.example', '10.0.0.1'), other], 60_000);
    assert.deepEqual(rig.asked, []);
    // Gone from the one, watched anew by another life; forgotten the other.
    rig.watch.takeUp([other, host('db.example', '10.0.0.1')], 10);
    rig.watch.forget([7]);
    await eventually('one is asked about', async () => rig.asked.length > 2);
    assert.deepEqual([...new Set(rig.asked)], ['other.example']);
    rig.watch.takeUp([], 10);
    const count = rig.asked.length;
    await sleep(60);
    assert.ok(rig.asked.length <= count + 1, 'nobody is asked about any more');
  });

  it('another order of the same addresses is no change; one more is', async () => {
    const rig = makeRig();
    rig.answer = ['10.0.0.2', '10.0.0.1'];
    rig.watch.takeUp([host('db.example', '10.0.0.1', '10.0.0.2')], 5);
    await eventually('it was asked', async () => rig.asked.length > 2);
    assert.deepEqual(rig.changes, []);
    rig.answer = ['10.0.0.2', '10.0.0.1', '10.0.0.3'];
    await eventually('the change is told', async () => rig.changes.length === 1);
  });

  it('that do not resolve any more keep their addresses', async () => {
    const rig = makeRig();
    rig.watch.takeUp([host('db.example', '10.0.0.1')], 5);
    await eventually('the loss is told', async () => rig.lost.length === 1);
    rig.answer = ['10.0.0.1'];
    await eventually('it resolves again', async () => rig.asked.length > 2);
    assert.deepEqual([rig.changes, rig.lost], [[], ['db.example']]);
  });

  it('without dns_ttl live as long as their record says, at least a second', async () => {
    const rig = makeRig(1);
    rig.answer = ['10.0.0.2'];
    rig.watch.takeUp([host('db.example', '10.0.0.1')], null);
    await sleep(300);
    assert.deepEqual(rig.asked, []);
    await eventually('it was asked', async () => rig.asked.length > 0);
  });

  it('are asked at once when their host fails, but not for each failure', async () => {
    const rig = makeRig();
    let nowMs = 0;
    const asked: string[] = [];
    const watch = new NameWatch({
      resolve: async (name) => {
        asked.push(name);
        return at('10.0.0.1');
      },
      ttlMs: async () => null,
      nowMs: () => nowMs,
      onChange: () => {},
      onLost: () => {},
    });
    rigs.push({ ...rig, watch });
    watch.takeUp([host('db.example', '10.0.0.1')], null);
    watch.hurry(7);
    assert.equal(asked.length, 0, 'it has just been asked');
    nowMs = 2_000;
    for (let failures = 0; failures < 5; failures++) watch.hurry(7);
    await eventually('it was asked', async () => asked.length > 0);
    assert.equal(asked.length, 1);
    watch.hurry(8);
  });

  it('numbers and Unix sockets are no names', async () => {
    const rig = makeRig();
    rig.watch.takeUp(
      [host('10.0.0.1', '10.0.0.1'), host('fe80::1%lo'), host('/run/postgres'), host('@x')],
      1,
    );
    await sleep(50);
    assert.deepEqual(rig.asked, []);
  });
});
