import { decodeName, FRONTEND, frameBytesOf, readBind, readParse } from '@pgdog-cluster/core';
import type { Session } from './session.js';

const HEADER_BYTES = 5;

/**
 * The text of the one statement that these frames of the client ask for; null: they ask for several, or it is not known. Asked
 * for only when it is to be logged.
 */
export function askedText(session: Session, parts: readonly Uint8Array[]): Uint8Array | null {
  const parses = new Map<string, Uint8Array>();
  let [bound, text]: [string | null, Uint8Array | null] = [null, null];
  let askedCount = 0;
  for (const frame of parts.flatMap(framesOf)) {
    const [start, end] = [HEADER_BYTES, frame.length];
    switch (frame[0]) {
      case FRONTEND.Query:
        text = frame.subarray(start, end - 1);
        askedCount++;
        break;
      case FRONTEND.Parse: {
        const fields = readParse(frame, start, end);
        if (fields === null) return null;
        const name = decodeName(frame, fields.nameStart, fields.nameEnd);
        parses.set(name, frame.subarray(fields.textStart, fields.textEnd));
        break;
      }
      case FRONTEND.Bind: {
        const fields = readBind(frame, start, end);
        if (fields !== null) bound = decodeName(frame, fields.statementStart, fields.statementEnd);
        break;
      }
      case FRONTEND.Execute:
        askedCount++;
        break;
    }
  }
  if (askedCount !== 1 || text !== null) return askedCount === 1 ? text : null;
  return bound === null ? null : (parses.get(bound) ?? preparedBefore(session, bound));
}

function preparedBefore({ statements, requests }: Session, name: string): Uint8Array | null {
  const frame = name === '' ? (requests?.extended.unnamed.parseFrame ?? null) : statements.get(name)?.frame;
  if (frame == null) return null;
  const fields = readParse(frame, HEADER_BYTES, frame.length);
  return fields === null ? null : frame.subarray(fields.textStart, fields.textEnd);
}

/** Whole frames of bytes, one by one. */
function framesOf(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const size = frameBytesOf(bytes, at);
    if (size < 0 || at + size > bytes.length) break;
    frames.push(bytes.subarray(at, at + size));
    at += size;
  }
  return frames;
}
