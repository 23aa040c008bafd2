// ● per-frame path
import { BACKEND } from '@pgdog-cluster/core';
import { readsParameters } from '../made/shown-parameters.js';
import { DISPOSITION_MASK, SWALLOW } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';
import { isRenumbered } from './shard-numbers.js';

const HEADER_BYTES = 5;
/** Longest row of an answer to ourselves that is collected to be read. */
const READ_BYTES_MAX = 16 * 1024 * 1024;

/** How much of a frame of a server must be there before it is looked at: what is only passed on streams. */
export function wantedBytes(server: ServerConnection, type: number, frameBytes: number): number {
  switch (type) {
    case BACKEND.DataRow:
      return isReadByUs(server) ? Math.min(frameBytes, READ_BYTES_MAX) : HEADER_BYTES;
    case BACKEND.RowDescription: {
      const isRead = isReadByUs(server) || isRenumbered(server);
      return isRead ? Math.min(frameBytes, READ_BYTES_MAX) : HEADER_BYTES;
    }
    case BACKEND.CopyData:
    case BACKEND.FunctionCallResponse:
      return HEADER_BYTES;
    case BACKEND.ParameterDescription: {
      const isRead = isReadByUs(server) || isRenumbered(server) || readsParameters(server, frameBytes);
      return isRead ? frameBytes : HEADER_BYTES;
    }
    default:
      return frameBytes;
  }
}

function isReadByUs({ pending }: ServerConnection): boolean {
  return (pending.head() & DISPOSITION_MASK) === SWALLOW;
}
