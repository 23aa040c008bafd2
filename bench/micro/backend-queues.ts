/** What every frame passes through on its own: frame-stream, pending-replies, request-log. */
import { BACKEND, buildResult, READY_FOR_QUERY_IDLE } from '@pgdog-cluster/core';
import {
  CONSUMED,
  FORWARD,
  FrameStream,
  KIND_BIND,
  KIND_EXECUTE,
  KIND_SYNC,
  PendingReplies,
  RequestLog,
} from '@pgdog-cluster/worker';
import { type MicroResult, timeOperations } from './time-operations.js';

const HEADER_BYTES = 5;
const ROWS = 10;

/** An answer as it lies in a received buffer. */
function answer(): Uint8Array {
  const result = buildResult([{ name: 'abalance' }], Array(ROWS).fill(['4711']), `SELECT ${ROWS}`);
  return Buffer.concat([result, READY_FOR_QUERY_IDLE]);
}

/** A chunk holds `answer()` from one frame's boundary to another, or is cut in two within a frame. */
function cutFrames(cutAt: number): (count: number) => number {
  const bytes = new Uint8Array(answer());
  return (count) => {
    let hash = 0;
    const stream = new FrameStream({
      headBytes: (type, frameBytes) => (type === BACKEND.CommandComplete ? frameBytes : HEADER_BYTES),
      onFrame(type, _bytes, _start, _end, _buffer, frameBytes) {
        hash = (Math.imul(hash, 31) + type + frameBytes) | 0;
        return CONSUMED;
      },
      onRest() {},
      onChunkEnd() {},
      onViolation(reason) {
        throw new Error(reason);
      },
    });
    for (let i = 0; i < count; i++) {
      stream.push(bytes, 0, cutAt, 0);
      stream.push(bytes, cutAt, bytes.length, 0);
    }
    return hash;
  };
}

/** What a batch owes, and the answers to it, behind `waiting` older entries. */
function oweAndAnswer(waiting: number): (count: number) => number {
  return (count) => {
    const pending = new PendingReplies();
    for (let i = 0; i < waiting; i++) pending.push(KIND_SYNC | FORWARD, null);
    let hash = 0;
    for (let i = 0; i < count; i++) {
      pending.push(KIND_BIND | FORWARD, null);
      pending.push(KIND_EXECUTE | FORWARD, null);
      pending.push(KIND_SYNC | FORWARD, null);
      for (let answered = 0; answered < 3; answered++) {
        hash = (Math.imul(hash, 31) + pending.head()) | 0;
        pending.pop();
      }
    }
    return hash;
  };
}

function logRequest(requestBytes: number): (count: number) => number {
  const request = new Uint8Array(requestBytes).fill(7);
  return (count) => {
    const log = new RequestLog();
    for (let i = 0; i < count; i++) {
      log.reset();
      log.append(request, 0, requestBytes);
    }
    return log.take()?.length ?? 0;
  };
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  const { length } = answer();
  return [
    timeOperations('FrameStream: 13 frames in one chunk', quick, cutFrames(length)),
    timeOperations('FrameStream: 13 frames, cut in a header', quick, cutFrames(length - 9)),
    timeOperations('PendingReplies: three entries', quick, oweAndAnswer(0)),
    timeOperations('PendingReplies: three entries, 60 waiting', quick, oweAndAnswer(60)),
    timeOperations('RequestLog: a request of 64 bytes', quick, logRequest(64)),
    timeOperations('RequestLog: a request of 1000 bytes', quick, logRequest(1000)),
  ];
}
