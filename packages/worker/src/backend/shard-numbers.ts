// ● per-frame path
import { BACKEND } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { wishOf } from '../shard/shard-wish.js';
import { DISPOSITION_MASK, FORWARD } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';

/**
 * A client that has named a shard for good asks the catalogs of that one, and knows types by its numbers. All others know them by
 * those of the first shard.
 */
function keepsToShard(session: Session): boolean {
  if (session.isLeg) return false;
  if (session.isSessionMode) return true;
  const { shard, key } = wishOf(session.parameters);
  return shard !== null || key !== null;
}

/** Its shard has other numbers for some types or tables than the first one has. */
export function isRenumbered({ pool }: ServerConnection): boolean {
  return pool.shared.oids !== null;
}

/**
 * What a server of a shard says of types and tables, as the first shard would: changed where it stands.
 * @param code of what it answers
 * @param bytes bytes[start, end) is the whole frame
 */
export function tellNumbers(
  { pool, session }: ServerConnection,
  code: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const isForClient = (code & DISPOSITION_MASK) === FORWARD;
  if (isForClient && session !== null && keepsToShard(session)) return;
  const { oids } = pool.shared;
  if (bytes[start] === BACKEND.RowDescription) oids?.describeRow(bytes, start, end);
  else if (bytes[start] === BACKEND.ParameterDescription) oids?.describeParameters(bytes, start, end);
}

/** A client's Parse, whole, with the numbers of the first shard; null: it has them. */
export function renumberedParse(
  session: Session,
  { pool }: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | null {
  const { oids } = pool.shared;
  if (oids === null || !keepsToShard(session)) return null;
  const frame = bytes.subarray(start, end);
  const changed = oids.fromShard(frame);
  return changed === frame ? null : changed;
}

/** @param frame a whole Parse */
export function sendParse(server: ServerConnection, frame: Uint8Array): void {
  const { oids } = server.pool.shared;
  server.send(oids === null ? frame : oids.toShard(frame));
}

/** As sendParse(), of a client's frame as it came. */
export function forwardParse(
  server: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
): void {
  const { oids } = server.pool.shared;
  if (oids === null) {
    server.forward(bytes, start, end, buffer);
    return;
  }
  const frame = bytes.subarray(start, end);
  const changed = oids.toShard(frame);
  if (changed === frame) server.forward(bytes, start, end, buffer);
  else server.send(changed);
}
