/**
 * What lies outside of the garbage collector, and between threads, against models: the input bytes are a program
 * of operations, so that a failing one can be made smaller like any other input.
 */
import assert from 'node:assert/strict';
import {
  createSharedMemory,
  MAILBOX_HEADER_BYTES,
  MAILBOX_MESSAGE_BYTES_MAX,
  MAILBOX_READ,
  MAILBOX_RING_BYTES,
  MAILBOX_WRITTEN,
  SUPERVISOR_PRODUCER,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import {
  gathered,
  KernelMemory,
  KIND_COPY_END,
  KIND_EXECUTE,
  KIND_MASK,
  KIND_SYNC,
  OutputQueue,
  PendingReplies,
} from '@pgdog-cluster/worker';
import type { FuzzRandom } from './fuzz-random.js';
import type { FuzzTarget } from './fuzz-run.js';

const PROGRAM_BYTES_MAX = 400;

/** Reads operations and their operands; zeros when the program has ended. */
class Program {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isOver(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  below(limit: number): number {
    return ((this.byte() << 8) | this.byte()) % Math.max(1, limit);
  }
}

const anyProgram = (random: FuzzRandom): Buffer => random.buffer(1 + random.below(PROGRAM_BYTES_MAX));

const SMALL_MEMORY = { bigCount: 16, smallCount: 16 };
const memories: KernelMemory[] = [];

/** A mapping is never given back to the system (views of it may live on), so that targets take turns with one. */
function withMemory(body: (memory: KernelMemory) => void): void {
  const memory = memories.pop() ?? new KernelMemory(SMALL_MEMORY);
  body(memory);
  memory.checkInvariants();
  assert.equal(memory.bigFreeCount + memory.smallFreeCount, 32, 'buffers are lost');
  memories.push(memory);
}

const kernelMemoryTarget: FuzzTarget = {
  name: 'kernel-memory',
  generate: anyProgram,
  run(bytes) {
    withMemory((memory) => {
      const program = new Program(bytes);
      const held = new Map<number, number>();
      const take = (buffer: number): void => {
        if (buffer < 0) return;
        assert.ok(!held.has(buffer), 'a buffer in use was given out');
        held.set(buffer, 1);
      };
      while (!program.isOver) {
        const operation = program.byte() % 7;
        const chosen = [...held.keys()][program.byte() % Math.max(1, held.size)];
        if (operation === 0) take(memory.allocateBig());
        else if (operation === 1) take(memory.allocateBigAboveReserve());
        else if (operation === 2) take(memory.allocateSmall());
        else if (operation === 3) memory.trim();
        else if (operation === 6) {
          const free = program.byte() % 32;
          // What is nobody's is not kept and not given back.
          if (held.has(free)) continue;
          assert.throws(() => memory.retain(free));
          assert.throws(() => memory.release(free));
        } else if (chosen !== undefined) {
          const count = held.get(chosen) ?? 0;
          if (operation === 4) memory.retain(chosen);
          else memory.release(chosen);
          const left = operation === 4 ? count + 1 : count - 1;
          if (left === 0) held.delete(chosen);
          else held.set(chosen, left);
          assert.equal(memory.referenceCount(chosen), left);
        }
        memory.checkInvariants();
      }
      for (const [buffer, count] of held) for (let i = 0; i < count; i++) memory.release(buffer);
    });
  },
};

/** A queue, and all bytes that were put in and not taken out yet. */
class QueueRun {
  private readonly queue = new OutputQueue();
  private readonly memory: KernelMemory;
  private readonly program: Program;
  private expected: number[] = [];
  private inFlight = 0;
  private mark = 0;

  constructor(memory: KernelMemory, program: Program) {
    this.memory = memory;
    this.program = program;
  }

  step(): void {
    const operation = this.program.byte() % 8;
    if (operation <= 1) this.pushSlice();
    else if (operation === 2) this.queue.pushCopy(this.memory, this.fresh(), 3, 3 + this.note(this.size()));
    else if (operation === 3) this.queue.pushSpilled(this.fresh(), 3, 3 + this.note(this.size()));
    else if (operation === 4) this.queue.spill(this.memory);
    else if (operation === 5) this.gather();
    else this.finish(operation === 6);
    assert.equal(this.queue.queuedBytes, this.expected.length);
    assert.equal(this.queue.inFlightBytes, this.inFlight);
    this.memory.checkInvariants();
  }

  /** Sends the rest, or throws it away. */
  end(isSent: boolean): void {
    if (this.inFlight > 0) this.finish(true);
    for (let count = 0; isSent && this.expected.length > 0; count++) {
      assert.ok(count < 10_000, 'a queue does not empty');
      this.gather();
      this.finish(true);
    }
    this.queue.clear(this.memory);
  }

  private size(): number {
    const edges = [1, 2, 511, 512, 513, 2047, 2048, 2049, 4096, 16_383, 16_384, 16_385, 20_000];
    return this.program.byte() % 2 === 0
      ? 1 + this.program.below(40)
      : (edges[this.program.byte() % 13] ?? 1);
  }

  /** The next bytes of a count that goes on, so that an exchange of two would show. */
  private fresh(): Uint8Array {
    const source = new Uint8Array(20_100);
    for (let i = 0; i < source.length; i++) source[i] = (this.mark + i - 3) % 251;
    return source;
  }

  private note(size: number): number {
    for (let i = 0; i < size; i++) this.expected.push((this.mark + i) % 251);
    this.mark += size;
    return size;
  }

  private pushSlice(): void {
    const buffer = this.memory.allocateBigAboveReserve();
    if (buffer < 0) return;
    const size = Math.min(this.size(), 16_384);
    const start = this.memory.start(buffer) + this.program.below(16_384 - size + 1);
    this.memory.bytes.set(this.fresh().subarray(3, 3 + size), start);
    this.queue.pushSlice(this.memory, buffer, start, start + this.note(size));
    this.memory.release(buffer);
  }

  private gather(): void {
    if (this.inFlight > 0 || this.queue.waitingBytes === 0) return;
    const count = this.queue.gather(this.memory);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const offset = gathered.offsets[i] ?? 0;
      const length = gathered.lengths[i] ?? 0;
      assert.ok(length > 0 && offset + length <= this.memory.bytes.length);
      for (let k = 0; k < length; k++)
        assert.equal(this.memory.bytes[offset + k], this.expected[at + k], 'wrong bytes');
      at += length;
    }
    this.inFlight = at;
  }

  private finish(isWhole: boolean): void {
    if (this.inFlight === 0) return;
    const sent = isWhole ? this.inFlight : this.program.below(this.inFlight + 1);
    this.queue.finish(this.memory, sent);
    this.expected = this.expected.slice(sent);
    this.inFlight = 0;
  }
}

const outputQueueTarget: FuzzTarget = {
  name: 'output-queue',
  generate: (random) => random.buffer(1 + random.below(160)),
  run(bytes, random) {
    withMemory((memory) => {
      const program = new Program(bytes);
      const run = new QueueRun(memory, program);
      while (!program.isOver) run.step();
      run.end(random.oneIn(2));
    });
  },
};

const pendingRepliesTarget: FuzzTarget = {
  name: 'pending-replies',
  generate: anyProgram,
  run(bytes) {
    const program = new Program(bytes);
    const pending = new PendingReplies();
    let model: { code: number; ref: object | null }[] = [];
    while (!program.isOver) {
      const operation = program.byte() % 8;
      if (operation <= 3) {
        const entry = { code: 1 + (program.byte() % 9), ref: program.byte() % 2 === 0 ? null : {} };
        pending.push(entry.code, entry.ref);
        model.push(entry);
      } else if (operation === 4 && model.length > 0) {
        pending.pop();
        model.shift();
      } else if (operation === 5 && (model[0]?.code ?? 0) === KIND_EXECUTE) {
        pending.dropSyncsBeforeCopyEnd();
        const first = model.findIndex(({ code }, index) => index > 0 && (code & KIND_MASK) !== KIND_SYNC);
        model = [...model.slice(0, 1), ...(first < 0 ? [] : model.slice(first))];
      } else if (operation === 6) {
        const isEnd = model.length > 1 && model[1]?.code === KIND_COPY_END;
        assert.equal(pending.strikeCopyEnd(), isEnd);
        if (isEnd) model.splice(1, 1);
      } else if (operation === 7 && program.byte() === 0) {
        pending.clear();
        model = [];
      }
      assert.equal(pending.length, model.length);
      assert.equal(pending.head(), model[0]?.code ?? 0);
      assert.equal(pending.headRef(), model[0]?.ref ?? null);
      model.forEach(({ code, ref }, index) => {
        assert.equal(pending.codeAt(index), code);
        assert.equal(pending.refAt(index), ref);
      });
    }
  },
};

const WORKERS = 2;
const FDS_MAX = 64;
const shared = createSharedMemory({ workers: WORKERS, poolsMax: 1, fdMax: FDS_MAX });
const mailboxCells = (worker: number): Int32Array =>
  new Int32Array(
    shared.handles.regions.mailboxes,
    worker * (shared.handles.regions.mailboxes.byteLength / WORKERS),
    MAILBOX_HEADER_BYTES / 4,
  );

function someMessage(program: Program): WorkerMessage {
  const kind = program.byte() % 4;
  const secret = new Uint8Array(
    program.byte() % 4 === 0 ? program.below(MAILBOX_MESSAGE_BYTES_MAX + 200) : program.byte(),
  );
  secret.fill(program.byte());
  if (kind === 0)
    return {
      type: 'newClient',
      fd: program.byte() % FDS_MAX,
      addr: '127.0.0.1',
      port: program.below(65_536),
    };
  if (kind === 1)
    return { type: 'adopt', pool: 0, fd: program.byte() % FDS_MAX, fromWorker: 1, state: secret };
  if (kind === 2) return { type: 'cancel', fd: program.byte() % FDS_MAX, slot: program.byte(), secret };
  return { type: 'epoch', epoch: program.below(65_536) };
}

/** msgpackr gives a Buffer for a Uint8Array: compared by what they hold. */
const plain = (message: WorkerMessage): string =>
  JSON.stringify(message, (_key, value: unknown) =>
    value instanceof Uint8Array || isBufferShape(value)
      ? Buffer.from(value as Uint8Array).toString('hex')
      : value,
  );
const isBufferShape = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'type' in value &&
  value.type === 'Buffer' &&
  'data' in value;

const mailboxTarget: FuzzTarget = {
  name: 'mailbox',
  generate: anyProgram,
  run(bytes) {
    const program = new Program(bytes);
    const worker = program.byte() % WORKERS;
    const cells = mailboxCells(worker);
    // Anywhere in the ring, and near where positions begin anew.
    const position = (program.byte() % 2 === 0 ? -program.below(65_536) : program.below(65_536)) & ~3;
    cells[MAILBOX_WRITTEN] = position;
    cells[MAILBOX_READ] = position;
    const model: string[] = [];
    let isClosed = false;
    const { mailboxes, fds } = shared;
    const drain = (countMax: number): void => {
      mailboxes.drain(worker, (message) => assert.equal(plain(message), model.shift()), countMax);
    };
    while (!program.isOver) {
      const operation = program.byte() % 8;
      if (operation === 0) {
        // Not a descriptor: refused before the lock is taken, so that nobody waits for it.
        const none: WorkerMessage = { type: 'newClient', fd: FDS_MAX, addr: '', port: 0 };
        assert.throws(() => mailboxes.post(SUPERVISOR_PRODUCER, worker, none), RangeError);
      } else if (operation <= 4) {
        const message = someMessage(program);
        const ownerBefore = 'fd' in message ? fds.owner(message.fd) : 0;
        const usedBefore = mailboxes.usedBytes(worker);
        const isPosted = mailboxes.post(SUPERVISOR_PRODUCER, worker, message);
        if (isPosted) {
          assert.ok(!isClosed);
          model.push(plain(message));
          if ('fd' in message) assert.equal(fds.owner(message.fd), worker);
        } else {
          assert.equal(mailboxes.usedBytes(worker), usedBefore);
          if ('fd' in message) assert.equal(fds.owner(message.fd), ownerBefore);
        }
        assert.ok(mailboxes.usedBytes(worker) <= MAILBOX_RING_BYTES);
      } else if (operation <= 6) drain(1 + (program.byte() % 5));
      else {
        isClosed = program.byte() % 2 === 0;
        assert.ok(isClosed ? mailboxes.close(worker) : mailboxes.open(worker));
      }
      assert.equal(mailboxes.hasMessages(worker), model.length > 0);
    }
    mailboxes.open(worker);
    drain(Number.MAX_SAFE_INTEGER);
    assert.equal(model.length, 0, 'messages are lost');
    assert.equal(mailboxes.usedBytes(worker), 0);
  },
};

export const MEMORY_TARGETS: readonly FuzzTarget[] = [
  kernelMemoryTarget,
  outputQueueTarget,
  pendingRepliesTarget,
  mailboxTarget,
];
