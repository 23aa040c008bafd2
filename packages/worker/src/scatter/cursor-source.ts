import { FRONTEND, FrameWriter, SYNC, TARGET } from '@pgdog-cluster/core';
import { quoted } from './control-step.js';

const writer = new FrameWriter(256);
/** Of Execute: rows are counted by an int4. */
const ROWS_MAX = 0x7fff_fffe;

/** How a shard is asked for the next rows of its part of a cursor. */
export interface CursorSource {
  /** Of the cursor, for errors. */
  readonly name: string;
  /** In which formats its rows come: alike for alike formats. */
  readonly formats: string;
  /** @param count Infinity: all. @returns frames up to their ReadyForQuery */
  framesFor(count: number): Uint8Array;
}

/** A cursor by a FETCH in a Query of its own. */
export function queriedCursor(name: string, isBinary: boolean): CursorSource {
  return {
    name,
    formats: isBinary ? BINARY : TEXT,
    framesFor(count) {
      writer.reset().begin(FRONTEND.Query).cstring(fetchText(name, count)).end();
      return writer.take();
    },
  };
}

/** A cursor by a FETCH that is bound. @param results its result formats, as its Bind has them, with their count */
export function boundCursor(name: string, results: Uint8Array): CursorSource {
  return {
    name,
    formats: formatsOf(results),
    framesFor(count) {
      writer.reset();
      writer.begin(FRONTEND.Parse).byte(0).cstring(fetchText(name, count)).int16(0).end();
      writer.begin(FRONTEND.Bind).byte(0).byte(0).int16(0).int16(0).bytes(results).end();
      writer.begin(FRONTEND.Describe).byte(TARGET.Portal).byte(0).end();
      writer.begin(FRONTEND.Execute).byte(0).int32(0).end();
      return writer.bytes(SYNC).take();
    },
  };
}

/** A portal, whose Bind has said the formats. */
export function boundPortal(name: string): CursorSource {
  return {
    name,
    formats: TEXT,
    framesFor(count) {
      writer
        .reset()
        .begin(FRONTEND.Execute)
        .cstring(name)
        .int32(count > ROWS_MAX ? 0 : count)
        .end();
      return writer.bytes(SYNC).take();
    },
  };
}

const TEXT = 'text';
const BINARY = 'binary';

function fetchText(name: string, count: number): string {
  return `FETCH FORWARD ${count > ROWS_MAX ? 'ALL' : count} FROM ${quoted(name)}`;
}

/** Those that mean the same for all columns are one. */
function formatsOf(results: Uint8Array): string {
  const codes: number[] = [];
  for (let at = COUNT_BYTES; at + CODE_BYTES <= results.length; at += CODE_BYTES) {
    codes.push((results[at] << 8) | results[at + 1]);
  }
  if (codes.every((code) => code === 0)) return TEXT;
  return codes.every((code) => code === 1) ? BINARY : codes.join();
}

const COUNT_BYTES = 2;
const CODE_BYTES = 2;
