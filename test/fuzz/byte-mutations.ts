/** Changes to valid bytes that keep enough of their structure to get past the first check. */
import type { FuzzRandom } from './fuzz-random.js';

type Mutation = (random: FuzzRandom, bytes: Buffer) => Buffer;

const replaced = (bytes: Buffer, at: number, count: number, by: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + count)]);

/** Where frames begin, as far as their lengths can be followed. `head`: bytes before the length word. */
function frameStarts(bytes: Buffer, head = 1): number[] {
  const starts: number[] = [];
  for (let at = 0; at + head + 4 <= bytes.length; ) {
    starts.push(at);
    const size = head + bytes.readUInt32BE(at + head);
    if (size < head + 4 || at + size > bytes.length) break;
    at += size;
  }
  return starts;
}

function writeWord(random: FuzzRandom, bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  if (at + 4 > copy.length) return copy;
  // Near what it was: off by a little is what arithmetic gets wrong.
  const old = copy.readUInt32BE(at);
  copy.writeUInt32BE((random.oneIn(2) ? old + random.below(9) - 4 : random.word()) >>> 0, at);
  return copy;
}

const MUTATIONS: readonly Mutation[] = [
  // A byte of its own.
  (random, bytes) => replaced(bytes, random.below(bytes.length), 1, random.buffer(1)),
  (random, bytes) => {
    const copy = Buffer.from(bytes);
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  // A word anywhere: counts, sizes, oids.
  (random, bytes) => writeWord(random, bytes, random.below(bytes.length)),
  // The length word of a frame, then of a start-up packet.
  (random, bytes) => {
    const starts = frameStarts(bytes);
    return starts.length === 0 ? bytes : writeWord(random, bytes, random.pick(starts) + 1);
  },
  (random, bytes) => writeWord(random, bytes, 0),
  // The type of a frame.
  (random, bytes) => {
    const starts = frameStarts(bytes);
    if (starts.length === 0) return bytes;
    const copy = Buffer.from(bytes);
    copy[random.pick(starts)] = random.oneIn(3)
      ? random.below(256)
      : 'QPBDECSHXFdcfpRKTZAINVWGs123tnv'.charCodeAt(random.below(31));
    return copy;
  },
  // Shorter, longer, twice, in another order.
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  (random, bytes) => replaced(bytes, random.below(bytes.length), random.size(64), Buffer.alloc(0)),
  (random, bytes) => replaced(bytes, random.below(bytes.length + 1), 0, random.buffer(random.size(600))),
  (random, bytes) => {
    const starts = [...frameStarts(bytes), bytes.length];
    const first = random.below(starts.length - 1 || 1);
    const one = bytes.subarray(starts[first] ?? 0, starts[first + 1] ?? bytes.length);
    return Buffer.concat([bytes, one]);
  },
  (random, bytes) => {
    const starts = frameStarts(bytes);
    const at = starts.length === 0 ? 0 : random.pick(starts);
    return Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]);
  },
  // Terminators lost and found.
  (random, bytes) => {
    const at = bytes.indexOf(0, random.below(bytes.length));
    return at < 0 ? bytes : replaced(bytes, at, 1, random.oneIn(2) ? Buffer.from('x') : Buffer.alloc(0));
  },
  (random, bytes) => replaced(bytes, random.below(bytes.length + 1), 0, Buffer.alloc(1 + random.below(3))),
  // A long run of one byte: names, nonces, digits.
  (random, bytes) =>
    replaced(
      bytes,
      random.below(bytes.length),
      1,
      Buffer.alloc(random.size(), random.pick([0x61, 0x30, 0x2c, 0xff, 0x27])),
    ),
];

/** `bytes` with 0 to 4 changes; a quarter of the cases stays whole, so that what is valid is tried as well. */
export function mutate(random: FuzzRandom, bytes: Buffer): Buffer {
  if (random.oneIn(4)) return bytes;
  let changed = bytes;
  for (let count = 1 + random.below(random.oneIn(4) ? 4 : 1); count > 0; count--) {
    if (changed.length === 0) return random.buffer(random.size(64));
    changed = random.pick(MUTATIONS)(random, changed);
  }
  return changed;
}
