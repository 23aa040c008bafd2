import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createSharedMemory,
  MAILBOX_LOCK,
  MAILBOX_MESSAGE_BYTES_MAX,
  MAILBOX_RING_BYTES,
  SUPERVISOR_PRODUCER,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import { PATIENCE_MS } from '../support/patience.js';

function small() {
  return createSharedMemory({ workers: 2, poolsMax: 2, fdMax: 64, routingAreaBytes: 4096 });
}

function reply(generation: number, length: number): WorkerMessage {
  return {
    type: 'adminReply',
    slot: 1,
    generation,
    bytes: new Uint8Array(length).fill(generation),
    isLast: true,
  };
}

function take(memory: ReturnType<typeof small>, worker = 0, max?: number): WorkerMessage[] {
  const messages: WorkerMessage[] = [];
  memory.mailboxes.drain(worker, (message) => messages.push(message), max);
  return messages;
}

test('messages arrive whole, in order, and are their own copies', () => {
  const memory = small();
  const { mailboxes } = memory;
  assert.ok(!mailboxes.hasMessages(0));
  const sent: WorkerMessage[] = [
    { type: 'newClient', fd: 9, addr: '2001:db8::1', port: 65535 },
    { type: 'adopt', pool: 1, fd: 10, fromWorker: 1, state: new Uint8Array([0, 255, 7]) },
    { type: 'epoch', epoch: 3 },
  ];
  for (const message of sent) assert.ok(mailboxes.post(1, 0, message));
  const [first, second, third] = take(memory);
  assert.deepEqual(first, sent[0]);
  assert.ok(second.type === 'adopt' && second.state instanceof Uint8Array);
  mailboxes.post(1, 0, reply(1, 500));
  take(memory);
  assert.deepEqual([...second.state], [0, 255, 7], 'not a view of memory that is used again');
  assert.deepEqual(third, sent[2]);
  assert.deepEqual(take(memory), []);
});

test('frames wrap at every offset of the ring', () => {
  const memory = small();
  for (let round = 0; round < 1500; round++) {
    const length = (round * 331) % 5000;
    assert.ok(memory.mailboxes.post(1, 0, reply(round & 0xff, length)));
    const [message] = take(memory);
    assert.ok(message.type === 'adminReply');
    assert.equal(message.bytes.length, length);
    assert.ok(message.bytes.every((byte) => byte === (round & 0xff)));
  }
});

test('a full ring refuses, changes nothing, and takes more once drained', () => {
  const memory = small();
  const { mailboxes, fds } = memory;
  let posted = 0;
  while (mailboxes.post(1, 0, reply(posted & 0xff, 30_000))) posted += 1;
  assert.equal(posted, Math.floor(MAILBOX_RING_BYTES / 30_100));
  const usedBytes = mailboxes.usedBytes(0);
  let isAccepted = false;
  for (let n = 0; n < 1000 && mailboxes.post(1, 0, { type: 'epoch', epoch: n }); n++);
  while (mailboxes.post(1, 0, { type: 'epoch', epoch: 1 }));
  const refused = mailboxes.post(1, 0, { type: 'newClient', fd: 5, addr: '', port: 1 }, () => {
    isAccepted = true;
  });
  assert.deepEqual([refused, isAccepted, fds.owner(5)], [false, false, -1]);
  assert.ok(mailboxes.usedBytes(0) >= usedBytes);
  assert.equal(take(memory, 0, 1).length, 1);
  assert.ok(mailboxes.post(1, 0, { type: 'newClient', fd: 5, addr: '', port: 1 }));
  assert.equal(fds.owner(5), 0);
});

test('a message beyond the limit is refused; one at the limit passes', () => {
  const memory = small();
  assert.ok(!memory.mailboxes.post(1, 0, reply(1, MAILBOX_MESSAGE_BYTES_MAX)));
  const overhead = 60;
  assert.ok(memory.mailboxes.post(1, 0, reply(1, MAILBOX_MESSAGE_BYTES_MAX - overhead)));
  assert.equal(take(memory).length, 1);
});

test('the wake is asked for once per drain', () => {
  const memory = small();
  const { mailboxes } = memory;
  mailboxes.post(1, 0, { type: 'cut' });
  assert.deepEqual([mailboxes.needsWake(0), mailboxes.needsWake(0)], [true, false]);
  take(memory);
  mailboxes.post(1, 0, { type: 'cut' });
  assert.equal(mailboxes.needsWake(0), true);
});

test('a descriptor and a claim become the receiver’s together with the message', () => {
  const memory = small();
  const { mailboxes, fds, capacity } = memory;
  capacity.setPoolLimit(0, 1);
  capacity.tryClaim(1, 0);
  fds.setOwner(12, 1);
  const adopt: WorkerMessage = { type: 'adopt', pool: 0, fd: 12, fromWorker: 1, state: new Uint8Array(3) };
  mailboxes.close(0);
  assert.ok(!mailboxes.post(1, 0, adopt, () => capacity.moveClaim(0, 1, 0)));
  assert.deepEqual([fds.owner(12), capacity.claimedBy(1, 0)], [1, 1], 'a closed mailbox changes nothing');
  mailboxes.open(0);
  assert.ok(mailboxes.post(1, 0, adopt, () => capacity.moveClaim(0, 1, 0)));
  assert.deepEqual([fds.owner(12), capacity.claimedBy(1, 0), capacity.claimedBy(0, 0)], [0, 0, 1]);
});

test('a handler may throw or post: its message is taken, the next ones stay', () => {
  const memory = small();
  const { mailboxes } = memory;
  for (const epoch of [1, 2]) mailboxes.post(1, 0, { type: 'epoch', epoch });
  assert.throws(() => {
    mailboxes.drain(0, () => {
      mailboxes.post(0, 0, { type: 'cut' });
      throw new Error('in the handler');
    });
  }, /in the handler/);
  assert.deepEqual(take(memory), [{ type: 'epoch', epoch: 2 }, { type: 'cut' }]);
});

test('the lock of a crashed producer makes posts fail, not hang, until it is released', () => {
  const memory = small();
  const { mailboxes, handles } = memory;
  const cells = new Int32Array(handles.regions.mailboxes);
  cells[MAILBOX_LOCK] = 1 + 2;
  const startedMs = performance.now();
  assert.ok(!mailboxes.post(SUPERVISOR_PRODUCER, 0, { type: 'cut' }));
  assert.ok(performance.now() - startedMs < PATIENCE_MS);
  assert.equal(mailboxes.releaseLocks(0), 0, 'another producer’s lock is not touched');
  assert.equal(mailboxes.releaseLocks(1), 1);
  assert.ok(mailboxes.post(SUPERVISOR_PRODUCER, 0, { type: 'cut' }));
  assert.deepEqual(take(memory), [{ type: 'cut' }]);
});
