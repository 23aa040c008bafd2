/**
 * The one judge of lengths from the network. Every path that reads one (frames in both directions, start-up
 * packets, the length inside a SASL message, values of a Bind, frames kept for a repeat) gets it from here, so
 * that no path can see one that is negative, shifted out or beyond its bounds.
 */
import { readLength } from './message-type.js';

/** Postgres's own ceiling (PQ_LARGE_MESSAGE_LIMIT, 1 GB - 1), for every frame in both directions. */
export const FRAME_LENGTH_MAX = 0x3fff_ffff;
/** A frame's length word counts itself. */
export const FRAME_LENGTH_MIN = 4;

/**
 * The length word at `at`, or -1 unless lengthMin <= length <= lengthMax. The caller has checked that four
 * bytes are there; the bounds are the caller's, below 2^31.
 */
export function checkedLength(bytes: Uint8Array, at: number, lengthMin: number, lengthMax: number): number {
  const length = readLength(bytes, at);
  return length < lengthMin || length > lengthMax ? -1 : length;
}

/** Size of the whole frame whose type byte is at `start`, type byte included; -1 = no frame is that long. */
export function frameBytesOf(bytes: Uint8Array, start: number, lengthMax = FRAME_LENGTH_MAX): number {
  const length = checkedLength(bytes, start + 1, FRAME_LENGTH_MIN, lengthMax);
  return length < 0 ? -1 : length + 1;
}

/** valueBytesOf: the value is NULL. */
export const NULL_VALUE = -1;
/** valueBytesOf: there is no such value here. */
export const NO_VALUE = -2;

/**
 * The Int32 size at `at` of a value that follows it: NULL_VALUE for -1, NO_VALUE when the word or the value
 * would reach beyond `end`.
 */
export function valueBytesOf(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 4) return NO_VALUE;
  const size = checkedLength(bytes, at, 0, end - at - 4);
  if (size >= 0) return size;
  return readLength(bytes, at) === 0xffff_ffff ? NULL_VALUE : NO_VALUE;
}
