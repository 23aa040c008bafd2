import {
  type BufferBytes,
  type ClientMemoryReport,
  type PreparedReport,
  readParse,
  readShape,
  type ServerMemoryReport,
  SHAPE_HIGH,
  SHAPE_READ,
  shape,
  shapeText,
} from '@pgdog-cluster/core';
import type { ServerConnection } from './backend/server-connection.js';
import type { PreparedStatement } from './plan/prepared-statements.js';
import { UNREAD_TEXT } from './plan/query-stats.js';
import { readingOf } from './route/prepared-route.js';
import type { Session } from './session/session.js';
import type { WorkerContext } from './worker-context.js';

const HEADER_BYTES = 5;
/** Statements that a worker tells of at once, those that most names mean: a few milliseconds. */
const STATEMENTS_REPORTED_MAX = 1000;
/** Longer texts are not read for this. */
const TEXT_BYTES_MAX = 16 * 1024;
/** A name on a server connection: the string is shared, its place in the set is not. */
const SERVER_NAME_BYTES = 32;

export function reportPrepared({ statements, worker }: WorkerContext, filter: string): PreparedReport[] {
  const chosen = [...statements.all()].sort((a, b) => b.references - a.references);
  const rows: PreparedReport[] = [];
  for (const one of chosen.slice(0, STATEMENTS_REPORTED_MAX)) {
    const statement = textOf(one);
    if (!statement.toLowerCase().includes(filter)) continue;
    rows.push({
      worker,
      name: one.serverName,
      statement,
      references: one.references,
      bytes: one.frame.length + one.serverNameBytes.length,
    });
  }
  return rows;
}

/** As SHOW QUERIES has it: never a literal. */
function textOf({ frame, figures, isSqlLevel, serverName, encoding }: PreparedStatement): string {
  if (figures !== null && figures.hash !== null) return figures.text;
  const fields = isSqlLevel ? null : readParse(frame, HEADER_BYTES, frame.length);
  // PREPARE name (types) AS body
  const start = fields?.textStart ?? HEADER_BYTES;
  const end = fields?.textEnd ?? frame.length - 1;
  const isShort = end - start <= TEXT_BYTES_MAX;
  if (!isShort || serverName === '' || readShape(frame, start, end) !== SHAPE_READ) return UNREAD_TEXT;
  return shapeText(frame, start, end, (shape.flags & SHAPE_HIGH) === 0, readingOf(encoding));
}

export function reportClientMemory(context: WorkerContext): ClientMemoryReport[] {
  const rows: ClientMemoryReport[] = [];
  context.sessions.forEach((session) => {
    const { slot, user, database, addr, port } = session;
    rows.push({ worker: context.worker, slot, user, database, addr, port, bytes: clientBytes(session) });
  });
  return rows;
}

function clientBytes({ stream, connection, statements, requests }: Session): BufferBytes {
  return {
    used: stream.heldBytes,
    allocated: stream.keptBytes,
    prepared: statements.frameBytes + (requests?.extended.unnamed.size ?? 0),
    queued: connection.queuedBytes,
  };
}

export function reportServerMemory(context: WorkerContext): ServerMemoryReport[] {
  const rows: ServerMemoryReport[] = [];
  for (const pool of context.pools.values()) {
    for (const server of pool.all) {
      const { remotePid } = server;
      rows.push({ worker: context.worker, pool: pool.index, remotePid, bytes: serverBytes(server) });
    }
  }
  return rows;
}

function serverBytes({ stream, connection, requestLog, prepared }: ServerConnection): BufferBytes {
  return {
    used: stream.heldBytes,
    allocated: stream.keptBytes + requestLog.keptBytes,
    prepared: prepared.size * SERVER_NAME_BYTES,
    queued: connection.queuedBytes,
  };
}
