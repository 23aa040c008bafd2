import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Handshake, HandshakeQueue, LoginBudget } from '@pgdog-cluster/worker';

/** A handshake of two steps, the first one dear, as a server's is. */
class FakeHandshake implements Handshake {
  readonly queue: HandshakeQueue;
  readonly number: number;
  readonly log: string[];
  isUnderWay = false;
  isWaitingForTurn = false;
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
    else {
      this.isWaitingForTurn = true;
      this.queue.wait(this);
    }
  }

  runHeld(): void {
    this.isWaitingForTurn = false;
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
  const budget = new LoginBudget();
  const queue = new HandshakeQueue(budget);
  const log: string[] = [];
  let nowUs = 1_000_000;
  return {
    queue,
    log,
    make: (number: number, costUs?: number) => new FakeHandshake(queue, number, log, costUs),
    /** `isPaced`: a client that has been here for long asks for something. */
    turn(isBusy: boolean, us = 100, isPaced = false): void {
      nowUs += us;
      const nowMs = Math.floor(nowUs / 1000);
      if (isPaced) budget.noteRequest(nowMs - 10_000, nowMs);
      budget.beginTurn(nowUs, nowMs);
      queue.beginTurn(nowMs, isBusy);
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

test('while statements are under way, one step a turn', () => {
  const { queue, log, make, turn } = makeQueue();
  turn(true);
  for (let number = 0; number < 5; number++) make(number).receive();
  for (let begun = 1; begun < 5; begun++) {
    assert.equal(log.length, begun);
    turn(true);
  }
  assert.equal(queue.waitingCount, 0);
});

test('while clients are served that have been here for long, a fifth of the time', () => {
  const { queue, log, make, turn } = makeQueue();
  for (let us = 0; us < 20_000; us += 100) turn(true, 100, true);
  for (let number = 0; number < 30; number++) make(number).receive();
  // What was saved pays for the first ones, 2 ms and what of the third is too much; then a step of 1 ms each 5 ms.
  for (let us = 0; us < 1000; us += 100) turn(true, 100, true);
  assert.equal(log.length, 3);
  for (let us = 0; us < 50_000; us += 100) turn(true, 100, true);
  assert.ok(log.length >= 11 && log.length <= 13, `${log.length} steps`);
  // They have nothing to do any more, and a tenth of a second later handshakes have all of it.
  for (let us = 0; us < 105_000; us += 1000) turn(true, 1000);
  assert.equal(queue.waitingCount, 0);
});

test('one under way that waits for its turn does not count as stalled', () => {
  const { queue, make, turn } = makeQueue();
  const all = Array.from({ length: 513 }, (_, number) => make(number, 1));
  for (const each of all) {
    turn(false);
    each.receive();
  }
  assert.equal(queue.waitingCount, 1);
  all[0].isWaitingForTurn = true;
  turn(false, 6_000_000);
  assert.ok(!all[0].isStalled);
  all[0].isWaitingForTurn = false;
  turn(false);
  assert.ok(all[0].isStalled);
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
