import assert from 'node:assert/strict';
import { test } from 'node:test';
import { libc } from '@pgdog-cluster/worker';
import { PATIENCE_MS } from '../support/patience.js';
import { driverNames, localPair, Recorder, Rig, randomFrom, tcpPair } from './io-fixture.js';

const NOTHING_LOST = { big: 0, small: 0 };
const STREAM_BYTES = 24 * 1024 * 1024;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** The stream's byte at a position: no short period, so that a shifted or repeated block shows. */
const pattern = Buffer.alloc(1 << 16);
for (let i = 0, next = randomFrom(7); i < pattern.length; i++) pattern[i] = next(256);
function patternAt(position: number): number {
  return pattern[(position ^ (position >>> 16)) & 0xffff];
}

/** Sends and checks the pattern at once, in random pieces, with random pauses in reading. */
class Streamer extends Recorder {
  sentBytes = 0;
  firstWrong = -1;
  next: (below: number) => number = randomFrom(1);
  private readonly scratch = Buffer.alloc(70_000);

  feed(): void {
    for (let i = 0; i < 40 && !this.connection.isFull && this.sentBytes < STREAM_BYTES; i++) {
      const kind = this.next(4);
      const sizeMax = [20, 500, 20_000, 70_000][this.next(4)];
      const length = Math.min(1 + this.next(sizeMax), STREAM_BYTES - this.sentBytes);
      const { memory } = this.rig;
      const buffer = kind === 0 && length <= 16_000 ? memory.allocateBig() : -1;
      const target = buffer >= 0 ? memory.bytes : this.scratch;
      const start = buffer >= 0 ? memory.start(buffer) : 0;
      for (let j = 0; j < length; j++) target[start + j] = patternAt(this.sentBytes + j);
      if (buffer >= 0) {
        this.connection.sendSlice(buffer, start, start + length);
        memory.release(buffer);
      } else {
        this.connection.sendBytes(target, start, start + length);
      }
      this.sentBytes += length;
    }
    if (this.next(10) === 0) this.connection.pauseReceive(1);
    else this.connection.resumeReceive(1);
  }

  override take(_buffer: number, start: number, end: number): void {
    const { bytes } = this.rig.memory;
    let position = this.receivedBytes - (end - start);
    for (let at = start; at < end; at++, position++) {
      if (bytes[at] !== patternAt(position) && this.firstWrong < 0) this.firstWrong = position;
    }
  }
}

for (const name of driverNames) {
  test(`${name}: 24 MB each way arrive byte for byte (seed ${seed})`, () => {
    const rig = new Rig(name, { bigCount: 256 }, 64);
    const [a, b] = tcpPair().map((fd) => new Streamer(rig, fd));
    a.next = randomFrom(seed);
    b.next = randomFrom(seed + 1);
    const deadline = performance.now() + 3 * PATIENCE_MS;
    while (a.receivedBytes < STREAM_BYTES || b.receivedBytes < STREAM_BYTES) {
      a.feed();
      b.feed();
      rig.turn(10);
      assert.ok(a.firstWrong < 0 && b.firstWrong < 0, `wrong at ${a.firstWrong}, ${b.firstWrong}`);
      assert.ok(performance.now() < deadline, `timed out at ${a.receivedBytes}, ${b.receivedBytes}`);
    }
    assert.equal(a.receivedBytes, STREAM_BYTES);
    assert.equal(b.receivedBytes, STREAM_BYTES);
    a.connection.close();
    b.connection.close();
    rig.until(() => rig.closedFds.length === 2);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: a descriptor changes driver with bytes in flight and none is lost (seed ${seed})`, () => {
    const next = randomFrom(seed);
    const rigs = [new Rig(name), new Rig(name)];
    const far = new Rig(name);
    const [nearFd, farFd] = tcpPair();
    const sender = new Recorder(far, farFd);
    let position = 0;
    let receivedBytes = 0;
    let isIntact = true;
    for (let round = 0; round < 200; round++) {
      const rig = rigs[round % 2];
      const near = new (class extends Recorder {
        override take(_buffer: number, start: number, end: number): void {
          for (let at = start; at < end; at++) {
            if (rig.memory.bytes[at] !== patternAt(receivedBytes++)) isIntact = false;
          }
        }
      })(rig, nearFd);
      const length = 1 + next(30_000);
      const block = Buffer.alloc(length);
      for (let i = 0; i < length; i++) block[i] = patternAt(position++);
      sender.connection.sendBytes(block, 0, length);
      const before = next(3);
      for (let i = 0; i < before; i++) rig.turn(0);
      far.turn(0);
      for (let i = next(3); i > 0; i--) rig.turn(0);
      near.send('ack');
      rig.turn(0);
      near.connection.release();
      rig.until(() => near.detachedCount === 1);
      assert.equal(libc.fcntl(nearFd, libc.F_GETFD, 0) >= 0, true, 'release() must not close');
    }
    const last = new Recorder(rigs[0], nearFd);
    const turnAll = (): void => [...rigs, far].forEach((rig) => void rig.turn(1));
    for (let i = 0; i < 2000 && receivedBytes + last.receivedBytes < position; i++) turnAll();
    const rest = Buffer.concat(last.chunks);
    assert.ok(rest.every((byte, i) => byte === patternAt(receivedBytes + i)) && isIntact);
    assert.equal(receivedBytes + rest.length, position);
    for (let i = 0; i < 2000 && sender.receivedBytes < 600; i++) turnAll();
    assert.equal(sender.receivedBytes, 600);
    last.connection.close();
    sender.connection.close();
    for (let i = 0; i < 5; i++) turnAll();
    for (const rig of [...rigs, far]) assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: with hardly any buffers everything still arrives`, () => {
    const rig = new Rig(name, { bigCount: 8, smallCount: 8 }, 2);
    const pairs = Array.from({ length: 12 }, () => localPair().map((fd) => new Recorder(rig, fd)));
    const block = Buffer.alloc(100_000, 'b');
    for (const [writer] of pairs) writer.connection.sendBytes(block, 0, block.length);
    rig.until(() => pairs.every(([, reader]) => reader.receivedBytes === block.length));
    for (const owner of pairs.flat()) owner.connection.close();
    rig.until(() => rig.closedFds.length === 24);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: receiving starts again when an owner that held all buffers lets them go`, () => {
    const rig = new Rig(name, { bigCount: 8, smallCount: 8 }, 4);
    const held: number[] = [];
    const [a, b] = localPair().map((fd) => new Recorder(rig, fd));
    b.handleReceived = (buffer, start, end) => {
      b.receivedBytes += end - start;
      held.push(buffer);
    };
    for (let i = 0; i < 12; i++) {
      const buffer = rig.memory.allocateSmall();
      libc.write(a.connection.fd, rig.memory.address + rig.memory.start(buffer), 100);
      rig.memory.release(buffer);
      for (let j = 0; j < 3; j++) rig.turn(0);
    }
    const heldBytes = b.receivedBytes;
    assert.ok(heldBytes < 1200, 'some bytes must have found no buffer');
    const before = performance.now();
    for (let i = 0; i < 3; i++) rig.turn(20_000);
    assert.ok(performance.now() - before < 10_000, 'waiting for buffers is bounded');
    assert.equal(b.receivedBytes, heldBytes);
    for (const buffer of held.splice(0)) rig.memory.release(buffer);
    rig.until(() => b.receivedBytes === 1200);
    a.connection.close();
    b.connection.close();
    rig.until(() => rig.closedFds.length === 2);
    for (const buffer of held) rig.memory.release(buffer);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: 1,000 connections echo, twice over the same handles`, () => {
    const rig = new Rig(name, { bigCount: 2048, smallCount: 4096 });
    for (let round = 0; round < 2; round++) {
      const closedBefore = rig.closedFds.length;
      const clients: Recorder[] = [];
      const servers: Recorder[] = [];
      for (let i = 0; i < 500; i++) {
        const [client, server] = localPair();
        clients.push(new Recorder(rig, client));
        servers.push(
          new (class extends Recorder {
            override take(buffer: number, start: number, end: number): void {
              this.connection.sendSlice(buffer, start, end);
            }
          })(rig, server),
        );
      }
      for (let ping = 0; ping < 3; ping++) {
        clients.forEach((client, i) => {
          client.send(`${ping}:${i};`);
        });
        rig.until(() => clients.every((client) => client.text.split(';').length === ping + 2));
      }
      clients.forEach((client, i) => {
        assert.equal(client.text, `0:${i};1:${i};2:${i};`);
      });
      for (const owner of [...clients, ...servers]) owner.connection.close();
      rig.until(() => rig.closedFds.length === closedBefore + 1000);
    }
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: more submissions in a turn than the queue holds`, () => {
    const rig = new Rig(name, { bigCount: 2048, smallCount: 4096 });
    const pairs = Array.from({ length: 1500 }, () => localPair().map((fd) => new Recorder(rig, fd)));
    for (const [a, b] of pairs) {
      a.send('there');
      b.send('back!');
    }
    rig.until(() => pairs.flat().every((owner) => owner.receivedBytes === 5));
    for (const owner of pairs.flat()) owner.connection.close();
    rig.until(() => rig.closedFds.length === 3000);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });

  test(`${name}: an eventfd wakes a waiting turn, each time, and once for several writes`, () => {
    const rig = new Rig(name);
    const fd = libc.eventfd(0, libc.EFD_CLOEXEC);
    const one = rig.memory.allocateSmall();
    rig.memory.view.setBigUint64(rig.memory.start(one), 1n, true);
    const wake = (): void => void libc.write(fd, rig.memory.address + rig.memory.start(one), 8);
    let wakes = 0;
    rig.driver.watchEventFd(fd, () => {
      wakes++;
    });
    for (let i = 1; i <= 3; i++) {
      wake();
      wake();
      rig.until(() => wakes === i);
    }
    const before = performance.now();
    rig.turn(30);
    assert.ok(performance.now() - before > 20, 'the counter was reset, so the turn waits');
    assert.equal(wakes, 3);
    rig.memory.release(one);
    assert.deepEqual(rig.end(), NOTHING_LOST);
    libc.close(fd);
  });

  test(`${name}: a turn waits as long as it is told, and not at all with 0`, () => {
    const rig = new Rig(name);
    const tookMs = (waitMs: number): number => {
      const started = performance.now();
      rig.turn(waitMs);
      return performance.now() - started;
    };
    const quickest = Math.min(...Array.from({ length: 100 }, () => tookMs(0)));
    assert.ok(quickest < 5, `${quickest} ms`);
    const waits = Array.from({ length: 3 }, () => tookMs(40));
    assert.ok(
      waits.every((ms) => ms > 35),
      `${waits} ms`,
    );
    // Who shares the machine may be late, but not each time by seconds.
    assert.ok(Math.min(...waits) < 2000, `${waits} ms`);
    assert.deepEqual(rig.end(), NOTHING_LOST);
  });
}
