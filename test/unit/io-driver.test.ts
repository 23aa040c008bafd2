import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { type IoSource, ipSockaddr, libc, localAddress } from '@pgdog-cluster/worker';
import { PATIENCE_MS } from '../support/patience.js';
import { driverNames, localPair, Recorder, Rig, tcpPair } from './io-fixture.js';

const { EAGAIN } = constants.errno;

/** A source that records results of sends and otherwise does nothing. */
class Sender implements IoSource {
  results: number[] = [];
  writableCount = 0;
  onReceive(): void {}
  onReceiveEnd(): void {}
  onSent(result: number): void {
    this.results.push(result);
  }
  onWritable(): void {
    this.writableCount++;
  }
  onConnect(): void {}
  onDetached(): void {}
}

/** Reads what is there, in place of a peer; returns how much. */
function readAll(rig: Rig, fd: number): number {
  const buffer = rig.memory.allocateBig();
  let total = 0;
  for (;;) {
    const count = libc.recv(fd, rig.memory.address + rig.memory.start(buffer), 16_384, libc.MSG_DONTWAIT);
    if (count <= 0) break;
    total += count;
  }
  rig.memory.release(buffer);
  return total;
}

for (const name of driverNames) {
  for (const isUrgent of [false, true]) {
    test(`${name}: a send tells exactly what the kernel took (urgent: ${isUrgent})`, () => {
      for (const pair of [localPair, tcpPair]) {
        const rig = new Rig(name);
        const [fd, peer] = pair();
        const small = new Int32Array([20_000]);
        libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_SNDBUF, small, 4);
        libc.setsockopt(peer, libc.SOL_SOCKET, libc.SO_RCVBUF, small, 4);
        const sender = new Sender();
        const handle = rig.driver.attach(fd, sender);
        const offsets = Int32Array.of(0, 50_000, 70_000);
        const lengths = Int32Array.of(14_000, 9_000, 11_000);
        let hadShort = false;
        let sentBytes = 0;
        let readBytes = 0;
        for (let round = 0; round < 30; round++) {
          if (round % 2 === 0) rig.driver.send(handle, 0, 15_000, isUrgent);
          else rig.driver.sendVector(handle, offsets, lengths, 3, isUrgent);
          while (sender.results.length === round) rig.driver.turn(5);
          const wanted = round % 2 === 0 ? 15_000 : 34_000;
          const result = sender.results[round];
          assert.ok(result === -EAGAIN || (result > 0 && result <= wanted), `${result}`);
          if (result < wanted) hadShort = true;
          sentBytes += Math.max(result, 0);
          if (round % 5 === 4) readBytes += readAll(rig, peer);
        }
        assert.ok(hadShort, 'the test must meet a full socket');
        const deadline = performance.now() + PATIENCE_MS;
        // Over TCP they may still be under way.
        while (readBytes < sentBytes && performance.now() < deadline) readBytes += readAll(rig, peer);
        assert.equal(readBytes + readAll(rig, peer), sentBytes);
        rig.driver.detach(handle);
        rig.end();
        libc.close(fd);
        libc.close(peer);
      }
    });
  }

  test(`${name}: a send that follows a failed one in its callback is not taken for a success`, () => {
    const rig = new Rig(name);
    const [fd, peer] = localPair();
    const sender = new Sender();
    const handle = rig.driver.attach(fd, sender);
    do {
      rig.driver.send(handle, 0, 16_000, true);
      while (rig.driver.turn(10) === 0);
    } while (sender.results.at(-1) === 16_000);
    sender.results = [];
    let again = 2;
    sender.onSent = (result) => {
      sender.results.push(result);
      if (again-- > 0) rig.driver.send(handle, 0, 100, false);
    };
    rig.driver.send(handle, 0, 100, false);
    for (let i = 0; i < 6; i++) rig.driver.turn(1);
    assert.deepEqual(sender.results, [-EAGAIN, -EAGAIN, -EAGAIN]);
    rig.driver.waitWritable(handle);
    rig.driver.turn(1);
    assert.equal(sender.writableCount, 0);
    readAll(rig, peer);
    for (let i = 0; i < 3; i++) rig.driver.turn(10);
    assert.equal(sender.writableCount, 1, 'told once that there is room');
    rig.driver.detach(handle);
    rig.end();
    libc.close(fd);
    libc.close(peer);
  });

  test(`${name}: bytes and their end, both there before anybody looked, are both told`, () => {
    for (const pair of [localPair, tcpPair]) {
      const rig = new Rig(name);
      const [fd, peer] = pair();
      libc.write(peer, rig.memory.address, 10);
      libc.close(peer);
      const owner = new Recorder(rig, fd);
      rig.until(() => owner.receiveEnds.length === 1);
      assert.equal(owner.receivedBytes, 10);
      assert.deepEqual(owner.receiveEnds, [0]);
      owner.connection.close();
      rig.until(() => rig.closedFds.length === 1);
      assert.deepEqual(rig.end(), { big: 0, small: 0 });
    }
  });

  test(`${name}: a turn comes back at once for a result somebody waits for`, () => {
    const rig = new Rig(name);
    const [a, b] = localPair().map((fd) => new Recorder(rig, fd));
    b.connection.pauseReceive(1);
    rig.turn(0);
    a.send('last');
    a.connection.closeWhenSent();
    const before = performance.now();
    for (let i = 0; i < 4 && rig.closedFds.length === 0; i++) rig.turn(20_000);
    assert.ok(performance.now() - before < 10_000);
    assert.equal(rig.closedFds.length, 1);
    b.connection.close();
    rig.until(() => rig.closedFds.length === 2);
    assert.deepEqual(rig.end(), { big: 0, small: 0 });
  });
}

for (const name of driverNames) {
  test(`${name}: clients of a listening socket wake one of two watchers, until it stops watching`, () => {
    const [first, second] = [new Rig(name), new Rig(name)];
    const listener = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_NONBLOCK, 0);
    assert.equal(libc.bind(listener, ipSockaddr('127.0.0.1', 0), 16), 0);
    assert.equal(libc.listen(listener, 16), 0);
    const { port } = localAddress(listener);
    const accepted: number[] = [];
    let wakeCount = 0;
    const accept = (): void => {
      wakeCount++;
      const fd = libc.accept4(listener, null, null, 0);
      if (fd >= 0) accepted.push(fd);
    };
    for (const rig of [first, second]) rig.driver.watchListener(listener, accept);
    const turnBoth = (): void => {
      for (const rig of [first, second]) for (let n = 0; n < 2; n++) rig.turn(5);
    };
    // On a machine with much to do a client that has connected may take its time to be in the backlog.
    const untilAccepted = (count: number): void => {
      const endMs = performance.now() + PATIENCE_MS;
      while (accepted.length < count && performance.now() < endMs) turnBoth();
      turnBoth();
    };
    const clients: number[] = [];
    const connect = (): void => {
      const fd = libc.socket(libc.AF_INET, libc.SOCK_STREAM, 0);
      assert.equal(libc.connect(fd, ipSockaddr('127.0.0.1', port), 16), 0);
      clients.push(fd);
    };
    turnBoth();
    assert.equal(wakeCount, 0);
    connect();
    untilAccepted(1);
    assert.equal(accepted.length, 1);
    connect();
    connect();
    untilAccepted(3);
    assert.equal(accepted.length, 3, 'what is left in the backlog wakes again');
    first.driver.unwatchListener(listener);
    first.turn(0);
    connect();
    for (let n = 0; n < 2; n++) first.turn(5);
    assert.equal(accepted.length, 3);
    untilAccepted(4);
    assert.equal(accepted.length, 4, 'the other watcher still hears');
    second.driver.unwatchListener(listener);
    // The number may belong to something else by now: an unknown one is nothing.
    second.driver.unwatchListener(listener);
    for (const rig of [first, second]) rig.end();
    for (const fd of [...accepted, ...clients, listener]) libc.close(fd);
  });
}
