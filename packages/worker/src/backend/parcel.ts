import { MAILBOX_MESSAGE_BYTES_MAX } from '@pgdog-cluster/core';
import { Packr } from 'msgpackr';
import { makeParameterSet, type SessionParameter } from '../session/parameter-set.js';
import type { ServerConnection } from './server-connection.js';

/** What travels with the descriptor when a server connection changes worker. */
interface Parcel {
  /** PoolSnapshot.serverVersion of the snapshot under which it was opened. */
  version: number;
  remotePid: number;
  secret: Uint8Array;
  createdMs: number;
  openedEpoch: number;
  expiresMs: number;
  parameters: SessionParameter[];
  reported: [string, string][];
  /** Names of prepared statements, least recently used first: the same in every worker. */
  prepared: string[];
  isSuspect: boolean;
  isTainted: boolean;
  transactions: number;
  queries: number;
  rollbacks: number;
  errors: number;
  bytesReceived: number;
  bytesSent: number;
}

const packr = new Packr({ useRecords: false });

/** Null when it does not fit into a mailbox message (thousands of statements): such a connection stays. */
export function packServer(server: ServerConnection): Uint8Array | null {
  const parcel: Parcel = {
    version: server.version,
    remotePid: server.remotePid,
    secret: server.secret,
    createdMs: server.createdMs,
    openedEpoch: server.openedEpoch,
    expiresMs: server.expiresMs,
    parameters: [...server.parameters.entries.values()],
    reported: [...server.reported],
    prepared: [...server.prepared],
    // Session numbers mean nothing in another worker: whoever gets it there is somebody else.
    isSuspect: server.isSuspect,
    isTainted: server.isTainted,
    transactions: server.transactions,
    queries: server.queries,
    rollbacks: server.rollbacks,
    errors: server.errors,
    bytesReceived: server.bytesReceived,
    bytesSent: server.bytesSent,
  };
  const packed = packr.pack(parcel);
  return packed.length < MAILBOX_MESSAGE_BYTES_MAX - 256 ? packed : null;
}

export function unpackServer(server: ServerConnection, state: Uint8Array): void {
  const parcel = packr.unpack(state) as Parcel;
  server.version = parcel.version;
  server.remotePid = parcel.remotePid;
  server.secret = parcel.secret;
  server.createdMs = parcel.createdMs;
  server.openedEpoch = parcel.openedEpoch;
  server.expiresMs = parcel.expiresMs;
  server.parameters = makeParameterSet(parcel.parameters);
  server.reported = server.pool.reported.intern(new Map(parcel.reported));
  for (const name of parcel.prepared) server.prepared.add(name);
  server.isSuspect = parcel.isSuspect;
  server.isTainted = parcel.isTainted;
  server.transactions = parcel.transactions;
  server.queries = parcel.queries;
  server.rollbacks = parcel.rollbacks;
  server.errors = parcel.errors;
  server.bytesReceived = parcel.bytesReceived;
  server.bytesSent = parcel.bytesSent;
}
