// ● per-frame path
/**
 * Which partition of PARTITION BY HASH (one column) a value belongs to: src/backend/partitioning/partbounds.c,
 * compute_partition_hash_value(). Data that Postgres has partitioned is on the shard of the same number.
 */
import { hash, hashBytes, hashUint32 } from './hash-bytes.js';

// HASH_PARTITION_SEED.
const SEED_HIGH = 0x7a5b2236;
const SEED_LOW = 0x7996dcfd;
// What hash_combine64 adds to the hash of a first column.
const COMBINE_HIGH = 0x49a0f4dd;
const COMBINE_LOW = 0x15e5a8e3;

/** More would not fit the arithmetic below. */
export const PARTITIONS_MAX = 1 << 20;

/** NULL has no hash: hash_combine64 leaves 0. */
export const NULL_PARTITION = 0;

/** Of hashint8extended(), and with it of int2, int4 and int8 alike. @param high signed or not, of the two's complement */
export function partitionOfInteger(high: number, low: number, count: number): number {
  hashUint32(low ^ ((high | 0) >= 0 ? high : ~high), SEED_HIGH, SEED_LOW);
  return partitionOfHash(count);
}

/** Of hashoidextended(), hashdate and what else is an uint32 to Postgres. */
export function partitionOfUint32(value: number, count: number): number {
  hashUint32(value, SEED_HIGH, SEED_LOW);
  return partitionOfHash(count);
}

/** Of hashtextextended() under a deterministic collation, uuid_hash_extended(), hashvarlenaextended(). */
export function partitionOfBytes(bytes: Uint8Array, start: number, end: number, count: number): number {
  hashBytes(bytes, start, end, SEED_HIGH, SEED_LOW);
  return partitionOfHash(count);
}

/**
 * Of hash_numeric_extended(). @param digits base 10,000, two bytes each, low byte first, no zeros at either end
 * @param weight of the first of them
 */
export function partitionOfNumeric(digits: Uint8Array, size: number, weight: number, count: number): number {
  if (size === 0) {
    // Zero of any scale: the seed less one.
    hash.high = SEED_HIGH;
    hash.low = SEED_LOW - 1;
  } else {
    hashBytes(digits, 0, size, SEED_HIGH, SEED_LOW);
    // The weight is an int that is widened with its sign.
    hash.low = (hash.low ^ weight) >>> 0;
    if (weight < 0) hash.high = ~hash.high >>> 0;
  }
  return partitionOfHash(count);
}

/** hash_combine64(0, hash) modulo count. */
function partitionOfHash(count: number): number {
  const low = hash.low + COMBINE_LOW;
  const carry = low > 0xffffffff ? 1 : 0;
  const high = (hash.high + COMBINE_HIGH + carry) % 0x100000000;
  return ((high % count) * (0x100000000 % count) + (low % 0x100000000)) % count;
}
