import { decodeText, findNul } from './cstring.js';
import { FrameWriter } from './frame-writer.js';
import { BACKEND, readLength } from './message-type.js';
import { PROTOCOL_MAJOR } from './startup-packet.js';

export interface Negotiation {
  minor: number;
  /** Names of `_pq_.` options that the server does not know. */
  unsupportedOptions: string[];
}

/**
 * NegotiateProtocolVersion: sent when the client asked for a newer minor version or unknown `_pq_.` options.
 * The protocol page speaks of the minor version alone, but servers send and libpq expects the whole
 * version, major in the upper half.
 */
export function buildNegotiateProtocolVersion(
  minor: number,
  unsupportedOptions: readonly string[],
): Uint8Array {
  const writer = new FrameWriter().begin(BACKEND.NegotiateProtocolVersion);
  writer.int32((PROTOCOL_MAJOR << 16) | minor).int32(unsupportedOptions.length);
  for (const name of unsupportedOptions) writer.cstring(name);
  return writer.end().take();
}

/** Body of a NegotiateProtocolVersion; null when malformed or of another major version. */
export function parseNegotiateProtocolVersion(
  bytes: Uint8Array,
  start: number,
  end: number,
): Negotiation | null {
  if (end - start < 8) return null;
  const version = readLength(bytes, start);
  // Major 0: a server that took the protocol page by its word.
  if (version >>> 16 !== 0 && version >>> 16 !== PROTOCOL_MAJOR) return null;
  const count = readLength(bytes, start + 4);
  const unsupportedOptions: string[] = [];
  let at = start + 8;
  // Each name takes a byte at least, so a huge count runs out of body, not of memory.
  for (let index = 0; index < count; index += 1) {
    const nul = findNul(bytes, at, end);
    if (nul === -1) return null;
    unsupportedOptions.push(decodeText(bytes, at, nul));
    at = nul + 1;
  }
  return at === end ? { minor: version & 0xffff, unsupportedOptions } : null;
}
