import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { HIGH_MARK, libc, openStreamSocket } from '@pgdog-cluster/worker';
import { driverNames, listener, localPair, Recorder, Rig, tcpPair } from './io-fixture.js';

const { ECONNREFUSED, ECONNRESET, EPIPE } = constants.errno;
const NOTHING_LOST = { big: 0, small: 0 };

function closeAll(rig: Rig, ...owners: Recorder[]): void {
  for (const owner of owners) owner.connection.close();
  rig.until(() => rig.closedFds.length >= owners.length);
}

for (const name of driverNames) {
  test(`${name}: bytes go both ways, over local and TCP sockets`, () => {
    for (const pair of [localPair, tcpPair]) {
      const rig = new Rig(name);
      const [a, b] = pair().map((fd) => new Recorder(rig, fd));
      a.send('hello ');
      a.send('world');
      rig.until(() => b.receivedBytes === 11);
      b.send('back');
      rig.until(() => a.receivedBytes === 4);
      assert.equal(b.text, 'hello world');
      assert.equal(b.chunks.length, 1, 'what is sent in one turn leaves in one send');
      assert.equal(a.text, 'back');
      closeAll(rig, a, b);
      assert.deepEqual(rig.closedFds.sort(), [a.connection.fd, b.connection.fd].sort());
      assert.deepEqual(rig.end(), NOTHING_LOST);
    }
  });

  test(`${name}: slices of a received buffer, copies and own bytes keep their order`, () => {
    const rig = new Rig(name);
    const [aFd, bFd] = tcpPair();
    const [cFd, dFd] = tcpPair();
    const a = new Recorder(rig, aFd);
    const d = new Recorder(rig, dFd);
    const c = new Recorder(rig, cFd);
    const b = new (class extends Recorder {
      override take(buffer: number, start: number, end: number): void {
        const third = Math.floor((end - start) / 3);
        c.send('<');
        c.connection.sendSlice(buffer, start, start + third);
        c.send('|');
        c.connection.sendCopy(start + third, start + 2 * third);
        c.connection.sendSlice(buffer, start + 2 * third, end);
        c.send('>');
      }
    })(rig, bFd);
    for (const length of [3, 300, 9000]) {
      const before = d.receivedBytes;
      const text = 'abcdefghij'.repeat(length / 10 + 1).slice(0, length);
      a.send(text);
      rig.until(() => d.receivedBytes === before + length + 3);
      const third = Math.floor(length / 3);
      assert.equal(d.text.slice(before), `<${text.slice(0, third)}|${text.slice(third)}>`);
    }
    closeAll(rig, a, b, c, d);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: connect succeeds, is refused, and bytes queued before it arrive`, () => {
    const rig = new Rig(name);
    const listening = listener();
    const client = new Recorder(rig, openStreamSocket(libc.AF_INET));
    client.connection.connect(listening.sockaddr);
    client.send('early');
    rig.until(() => client.connects.length === 1);
    const accepted = libc.accept4(listening.fd, null, null, libc.SOCK_NONBLOCK);
    const server = new Recorder(rig, accepted);
    rig.until(() => server.receivedBytes === 5);
    server.send('answer');
    rig.until(() => client.receivedBytes === 6);
    libc.close(listening.fd);
    const refused = new Recorder(rig, openStreamSocket(libc.AF_INET));
    refused.connection.connect(listening.sockaddr);
    rig.until(() => refused.connects.length === 1);
    assert.deepEqual(client.connects, [0]);
    assert.deepEqual(refused.connects, [ECONNREFUSED]);
    assert.deepEqual(refused.receiveEnds, []);
    closeAll(rig, client, server, refused);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: a connect under way can be given up`, () => {
    const rig = new Rig(name);
    // TEST-NET-1: nobody answers, or there is no route; either way close() must end it.
    const owner = new Recorder(rig, openStreamSocket(libc.AF_INET));
    owner.connection.connect(new Uint8Array([2, 0, 0, 80, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    rig.turn(0);
    owner.connection.close();
    const told = owner.connects.length;
    rig.until(() => rig.closedFds.length === 1);
    assert.equal(owner.connects.length, told, 'no callback after close()');
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: half close is told as an orderly end, after the last bytes, and sending still works`, () => {
    const rig = new Rig(name);
    const [a, b] = tcpPair().map((fd) => new Recorder(rig, fd));
    a.send('last words');
    rig.until(() => b.receivedBytes === 10);
    a.send('x'.repeat(40_000));
    rig.turn(0);
    libc.shutdown(a.connection.fd, libc.SHUT_WR);
    rig.until(() => b.receiveEnds.length === 1);
    assert.deepEqual(b.receiveEnds, [0]);
    assert.equal(b.receivedBytes, 40_010);
    b.send('still here');
    rig.until(() => a.receivedBytes === 10);
    closeAll(rig, a, b);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: a peer that resets is told once each way`, () => {
    const rig = new Rig(name);
    const [fd, peer] = tcpPair();
    const owner = new Recorder(rig, fd);
    rig.turn(0);
    // SO_LINGER with time 0: close(2) sends RST.
    const linger = new Int32Array([1, 0]);
    libc.setsockopt(peer, libc.SOL_SOCKET, libc.SO_LINGER, linger, 8);
    libc.close(peer);
    rig.until(() => owner.receiveEnds.length === 1);
    assert.deepEqual(owner.receiveEnds, [ECONNRESET]);
    owner.send('anybody?');
    rig.until(() => owner.writeErrors.length === 1);
    assert.deepEqual(owner.writeErrors, [EPIPE]);
    owner.send('dropped silently');
    for (let i = 0; i < 3; i++) rig.turn(0);
    assert.equal(owner.writeErrors.length, 1);
    assert.equal(owner.connection.queuedBytes, 0);
    closeAll(rig, owner);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: receiving pauses for reasons and goes on when the last is gone`, () => {
    const rig = new Rig(name);
    const [a, b] = tcpPair().map((fd) => new Recorder(rig, fd));
    rig.turn(0);
    b.connection.pauseReceive(1);
    b.connection.pauseReceive(2);
    for (let i = 0; i < 3; i++) rig.turn(0);
    a.send('wait');
    for (let i = 0; i < 5; i++) rig.turn(2);
    assert.equal(b.receivedBytes, 0);
    b.connection.resumeReceive(1);
    for (let i = 0; i < 5; i++) rig.turn(2);
    assert.equal(b.receivedBytes, 0);
    b.connection.resumeReceive(2);
    rig.until(() => b.receivedBytes === 4);
    for (let i = 0; i < 20; i++) {
      b.connection.pauseReceive(1);
      if (i % 2 === 0) rig.turn(0);
      b.connection.resumeReceive(1);
      a.send(`${i % 10}`);
      rig.turn(0);
    }
    rig.until(() => b.receivedBytes === 24);
    assert.equal(b.text, 'wait01234567890123456789');
    closeAll(rig, a, b);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: a reader that stands still makes the queue full, then drained`, () => {
    const rig = new Rig(name);
    const [a, b] = localPair().map((fd) => new Recorder(rig, fd));
    b.connection.pauseReceive(1);
    const block = Buffer.alloc(10_000, 'z');
    let sent = 0;
    while (!a.connection.isFull) {
      a.connection.sendBytes(block, 0, block.length);
      sent += block.length;
      rig.turn(0);
    }
    assert.ok(a.connection.queuedBytes > HIGH_MARK && a.connection.queuedBytes <= HIGH_MARK + block.length);
    assert.equal(a.drainedCount, 0);
    b.connection.resumeReceive(1);
    rig.until(() => b.receivedBytes === sent);
    rig.until(() => a.connection.queuedBytes === 0);
    assert.equal(a.drainedCount, 1);
    closeAll(rig, a, b);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: closeWhenSent sends all first; close drops; both are idempotent`, () => {
    const rig = new Rig(name);
    const [a, b] = localPair().map((fd) => new Recorder(rig, fd));
    b.connection.pauseReceive(1);
    const block = Buffer.alloc(1_000_000, 'q');
    a.connection.sendBytes(block, 0, block.length);
    rig.turn(0);
    a.connection.closeWhenSent();
    a.connection.closeWhenSent();
    for (let i = 0; i < 5; i++) rig.turn(0);
    assert.deepEqual(rig.closedFds, []);
    b.connection.resumeReceive(1);
    rig.until(() => b.receiveEnds.length === 1);
    assert.equal(b.receivedBytes, block.length);
    b.connection.sendBytes(block, 0, block.length);
    b.connection.close();
    b.connection.close();
    rig.until(() => rig.closedFds.length === 2);
    assert.deepEqual(b.writeErrors, []);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: close() of itself and of others inside callbacks ends all callbacks`, () => {
    const rig = new Rig(name);
    const pairs = Array.from({ length: 20 }, () => tcpPair());
    const senders = pairs.map(([fd]) => new Recorder(rig, fd));
    let told = 0;
    const closers: Recorder[] = pairs.map(
      ([, fd]) =>
        new (class extends Recorder {
          override take(): void {
            told++;
            this.connection.close();
            for (const other of closers) other.connection.close();
            this.send('into the void');
          }
        })(rig, fd),
    );
    rig.turn(0);
    for (const sender of senders) sender.send('now');
    rig.until(() => rig.closedFds.length === 20);
    assert.equal(told, 1);
    rig.until(() => senders.every((sender) => sender.receiveEnds.length === 1));
    closeAll(rig, ...senders);
    rig.until(() => rig.closedFds.length === 40);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: release() of a connection with bytes to send is refused`, () => {
    const rig = new Rig(name);
    const [a, b] = localPair().map((fd) => new Recorder(rig, fd));
    a.send('unsent');
    assert.throws(() => a.connection.release(), /bytes to send/);
    closeAll(rig, a, b);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: slow readers give their buffers up when memory is scarce, and still get every byte`, () => {
    const rig = new Rig(name, { bigCount: 64, smallCount: 64 }, 8);
    const pairs = Array.from({ length: 4 }, () => localPair().map((fd) => new Recorder(rig, fd)));
    const [fastA, fastB] = localPair().map((fd) => new Recorder(rig, fd));
    const block = Buffer.alloc(12_000);
    for (const [, reader] of pairs) reader.connection.pauseReceive(1);
    let sent = 0;
    for (let i = 0; i < 60; i++) {
      for (let at = 0; at < block.length; at++) block[at] = (sent + at) & 0xff;
      for (const [writer] of pairs) writer.connection.sendBytes(block, 0, block.length);
      sent += block.length;
      rig.turn(0);
    }
    fastA.send('through');
    rig.until(() => fastB.receivedBytes === 7);
    assert.ok(!rig.memory.isScarce, `${rig.memory.bigFreeCount} of 64 free`);
    for (const [, reader] of pairs) reader.connection.resumeReceive(1);
    rig.until(() => pairs.every(([, reader]) => reader.receivedBytes === sent));
    for (const [, reader] of pairs) {
      const bytes = Buffer.concat(reader.chunks);
      assert.ok(bytes.every((byte, at) => byte === ((at % 12_000) + Math.floor(at / 12_000) * 12_000) % 256));
    }
    closeAll(rig, ...pairs.flat(), fastA, fastB);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });
}
