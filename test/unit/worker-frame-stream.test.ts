import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED, type FrameSink, FrameStream, NEED_WHOLE } from '@pgdog-cluster/worker';
import { everySplit } from '../support/every-split.js';

const FIVE = 5;

function frame(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(FIVE + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32BE(4 + body.length, 1);
  bytes.write(body, FIVE, 'latin1');
  return bytes;
}

/** Notes whole frames as "type:body", however they arrive. `whole`: types to be shown in one piece. */
class Recorder implements FrameSink {
  readonly frames: string[] = [];
  violation = '';
  private body = '';
  private readonly whole: string;

  constructor(whole = '') {
    this.whole = whole;
  }

  headBytes(type: number, frameBytes: number): number {
    return this.whole.includes(String.fromCharCode(type)) ? frameBytes : FIVE;
  }

  onFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    _buffer: number,
    frameBytes: number,
  ): number {
    this.body = `${String.fromCharCode(type)}:${Buffer.from(bytes.subarray(start + FIVE, end)).toString('latin1')}`;
    if (end - start === frameBytes) this.frames.push(this.body);
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, _buffer: number, isLast: boolean): void {
    this.body += Buffer.from(bytes.subarray(start, end)).toString('latin1');
    if (isLast) this.frames.push(this.body);
  }

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    this.violation = reason;
  }
}

const SCRIPT = Buffer.concat([
  frame('Q', 'SELECT 1\0'),
  frame('S', ''),
  frame('D', 'x'.repeat(40)),
  frame('Z', 'I'),
]);
const EXPECTED = ['Q:SELECT 1\0', 'S:', `D:${'x'.repeat(40)}`, 'Z:I'];

for (const whole of ['', 'QDZS', 'Q', 'D']) {
  test(`frames are the same wherever the bytes are split (collected whole: "${whole}")`, async () => {
    await everySplit(SCRIPT, (pieces) => {
      const sink = new Recorder(whole);
      const stream = new FrameStream(sink);
      for (const piece of pieces) stream.push(piece, 0, piece.length, -1);
      assert.deepEqual(sink.frames, EXPECTED);
      assert.ok(stream.isAtBoundary);
    });
  });
}

test('random streams in random pieces with random blocking give every frame once and in order', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 300; round++) {
    const frames = Array.from({ length: 1 + random.below(20) }, (_, index) =>
      frame('QDS'[random.below(3)], `${index}:`.padEnd(random.below(60), 'y')),
    );
    const bytes = Buffer.concat(frames);
    const sink = new (class extends Recorder {
      override onFrame(...args: Parameters<Recorder['onFrame']>): number {
        if (random.below(3) === 0) return BLOCKED;
        const isPart = args[3] - args[2] < args[5];
        if (isPart && random.below(3) === 0) return NEED_WHOLE;
        return super.onFrame(...args);
      }
    })(random.below(2) === 0 ? 'Q' : '');
    const stream = new FrameStream(sink);
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + 1 + random.below(50));
      stream.push(bytes, at, end, -1);
      if (random.below(2) === 0) stream.resume();
      at = end;
    }
    for (let tries = 0; tries < 10_000 && sink.frames.length < frames.length; tries++) stream.resume();
    const expected = frames.map(
      (one) => `${String.fromCharCode(one[0])}:${one.subarray(FIVE).toString('latin1')}`,
    );
    assert.deepEqual(sink.frames, expected, `round ${round}`);
  }
});

for (const [name, length] of [
  ['0', 0],
  ['3', 3],
  ['2^30', 2 ** 30],
  ['2^31-1', 2 ** 31 - 1],
  ['2^31', 2 ** 31],
  ['2^32-1', 2 ** 32 - 1],
] as const) {
  test(`a declared length of ${name} ends the stream at once, wherever it is split`, async () => {
    const bytes = Buffer.alloc(FIVE);
    bytes.write('Q');
    bytes.writeUInt32BE(length, 1);
    await everySplit(bytes, (pieces) => {
      const sink = new Recorder();
      const stream = new FrameStream(sink);
      for (const piece of pieces) stream.push(piece, 0, piece.length, -1);
      assert.match(sink.violation, /invalid message length \(type 'Q'\)/);
      stream.push(frame('Q', 'more'), 0, 9, -1);
      assert.deepEqual(sink.frames, [], 'nothing is shown after a violation');
    });
  });
}

test('a long frame streams past without being collected', () => {
  const sink = new Recorder();
  const stream = new FrameStream(sink);
  const head = Buffer.alloc(FIVE);
  head.write('D');
  head.writeUInt32BE(4 + 1000, 1);
  stream.push(head, 0, FIVE, -1);
  assert.ok(stream.isInsideFrame);
  assert.equal(stream.heldBytes, 0);
  stream.push(Buffer.alloc(999), 0, 999, -1);
  assert.deepEqual(sink.frames, []);
  stream.push(Buffer.alloc(1), 0, 1, -1);
  assert.equal(sink.frames.length, 1);
});

test('prepended frames come before what was held', () => {
  const sink = new Recorder('Q');
  const stream = new FrameStream(sink);
  stream.block();
  stream.push(frame('Q', 'second'), 0, 11, -1);
  stream.prepend(frame('Q', 'first'));
  stream.resume();
  assert.deepEqual(sink.frames, ['Q:first', 'Q:second']);
});

test('prepended frames come before one that has only begun', () => {
  const second = frame('Q', 'second');
  for (let cut = 1; cut < second.length; cut++) {
    const sink = new Recorder('Q');
    const stream = new FrameStream(sink);
    stream.push(second, 0, cut, -1);
    stream.prepend(frame('Q', 'first'));
    stream.resume();
    stream.push(second, cut, second.length, -1);
    assert.deepEqual(sink.frames, ['Q:first', 'Q:second'], `cut at ${cut}`);
    assert.ok(stream.isAtBoundary);
  }
});

test('resume() from inside onFrame does not show a collected frame twice', async () => {
  await everySplit(SCRIPT, (pieces) => {
    const sink = new (class extends Recorder {
      override onFrame(...args: Parameters<Recorder['onFrame']>): number {
        const outcome = super.onFrame(...args);
        stream.block();
        stream.resume();
        return outcome;
      }
    })('QDZS');
    const stream: FrameStream = new FrameStream(sink);
    for (const piece of pieces) stream.push(piece, 0, piece.length, -1);
    assert.deepEqual(sink.frames, EXPECTED);
  });
});
