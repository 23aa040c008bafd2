import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Handshake, HandshakeQueue } from '@pgdog-cluster/worker';

/** A handshake of two steps, the first one dear, as a server's is. */
class FakeHandshake implements Handshake {
  readonly queue: HandshakeQueue;
  readonly number: number;
  readonly log: string[];
  isUnderWay = false;
  isStalled = false;
  costUs: number;

  constructor(queue: HandshakeQueue, number: number, log: string[], costUs = 1000) {
    this.queue = queue;
    this.number = number;
    this.log = log;
    this.costUs = costUs;
  }

  /** Bytes have come. */
  receive(): void {
    if (this.queue.mayStep(this)) this.runHeld();
    else this.queue.wait(this);
  }

  runHeld(): void {
    if (this.isUnderWay) {
      this.isUnderWay = false;
      this.queue.ended(this);
      this.queue.spent(20);
      this.log.push(`${this.number} done`);
      return;
    }
    this.isUnderWay = true;
    this.queue.began(this);
    this.queue.spent(this.costUs);
    this.log.push(`${this.number} begun`);
  }

  handleStalled(): void {
    this.isStalled = true;
    this.queue.ended(this);
  }
}

function makeQueue() {
  const queue = new HandshakeQueue();
  const log: string[] = [];
  let nowUs = 1_000_000;
  return {
    queue,
    log,
    make: (number: number, costUs?: number) => new FakeHandshake(queue, number, log, costUs),
    turn(isBusy: boolean, us = 100): void {
      nowUs += us;
      queue.beginTurn(nowUs, Math.floor(nowUs / 1000), isBusy);
      queue.run();
    },
  };
}

test('with nothing else to do, handshakes get 2 ms a turn, first come first served', () => {
  const { queue, log, make, turn } = makeQueue();
  turn(false);
  for (let number = 0; number < 10; number++) make(number).receive();
  assert.deepEqual(log, ['0 begun', '1 begun']);
  assert.equal(queue.waitingCount, 8);
  turn(false);
  assert.deepEqual(log.slice(2), ['2 begun', '3 begun']);
  for (let count = 0; count < 3; count++) turn(false);
  assert.equal(queue.waitingCount, 0);
  assert.deepEqual(log.slice(-1), ['9 begun']);
});

test('while statements are under way, one step at a time and at most half of the time', () => {
  const { queue, log, make, turn } = makeQueue();
  turn(true);
  for (let number = 0; number < 5; number++) make(number).receive();
  assert.deepEqual(log, ['0 begun']);
  // A step of 1 ms: the next one no sooner than 2 ms after it began.
  for (let us = 100; us < 1900; us += 100) turn(true);
  assert.equal(log.length, 1);
  turn(true, 200);
  assert.equal(log.length, 2);
  let steps = 0;
  const before = log.length;
  for (let us = 0; us < 6000; us += 100) turn(true);
  steps = log.length - before;
  assert.equal(steps, 3);
  assert.equal(queue.waitingCount, 0);
});

test('those under way come before new ones', () => {
  const { log, make, turn } = makeQueue();
  turn(false);
  const first = make(0, 3000);
  first.receive();
  for (let number = 1; number < 4; number++) make(number).receive();
  first.receive();
  turn(false);
  assert.deepEqual(log.slice(0, 2), ['0 begun', '0 done']);
});

test('the number under way is limited; one that stalls gives up its place after 5 s, no sooner', () => {
  const { queue, log, make, turn } = makeQueue();
  const all = Array.from({ length: 600 }, (_, number) => make(number, 1));
  for (const each of all) {
    turn(false);
    each.receive();
  }
  assert.equal(queue.underWayCount, 512);
  assert.equal(queue.waitingCount, 88);
  turn(false, 4_000_000);
  assert.equal(queue.waitingCount, 88);
  assert.ok(all.every(({ isStalled }) => !isStalled));
  // One finishes: one gets in.
  all[100].receive();
  turn(false);
  assert.equal(queue.waitingCount, 87);
  assert.deepEqual(log.slice(-2), ['100 done', '512 begun']);
  turn(false, 2_000_000);
  assert.ok(all[0].isStalled);
  assert.ok(queue.waitingCount < 87);
  assert.ok(queue.underWayCount <= 512);
});

test('one that leaves while it waits is forgotten', () => {
  const { queue, log, make, turn } = makeQueue();
  turn(true);
  const all = [0, 1, 2, 3].map((number) => make(number));
  for (const each of all) each.receive();
  queue.ended(all[2]);
  for (let us = 0; us < 10_000; us += 100) turn(true);
  assert.deepEqual(log, ['0 begun', '1 begun', '3 begun']);
  assert.equal(queue.waitingCount, 0);
});
