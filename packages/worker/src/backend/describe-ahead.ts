import { FLUSH, FRONTEND, FrameWriter, TARGET } from '@pgdog-cluster/core';
import { definitionsOf, noteTold } from '../plan/definitions.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { columnsOf } from '../plan/result-columns.js';
import type { Session } from '../session/session.js';
import { noteChanged } from './heal.js';
import { KIND_DESCRIBE, SWALLOW } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';
import { closeStatement } from './synchronise.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(256);

/** A Describe of ours: its answer is read here, and goes to nobody. `ref` of a pending reply. */
class Describing {
  readonly kind = 'statementUse';
  readonly serverName: string;
  private types = new Uint8Array(0);
  private readonly onDone: (types: Uint8Array, columns: string) => void;
  readonly undo: () => void;

  constructor(serverName: string, onDone: (types: Uint8Array, columns: string) => void, undo: () => void) {
    this.serverName = serverName;
    this.onDone = onDone;
    this.undo = undo;
  }

  /** ParameterDescription, then RowDescription or NoData: bytes[start, end) is the frame. */
  described(bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    if (isLast) this.onDone(this.types, columnsOf(bytes, start, end));
    else this.types = bytes.slice(start + HEADER_BYTES, end);
  }
}

function describe(server: ServerConnection, describing: Describing): void {
  server.pending.push(KIND_DESCRIBE | SWALLOW, describing);
  writer.reset().begin(FRONTEND.Describe).byte(TARGET.Statement).cstring(describing.serverName).end();
  server.send(writer.view());
}

/** By a search_path of its own, or with temporary tables, the statement may be of other tables than for others. */
function isOfUsualTables(session: Session, server: ServerConnection): boolean {
  return session.parameters.pathKey === '' && session.pins === 0 && !server.hasHadPath;
}

/** A statement has just been parsed for the first time: what it is like is kept, for a server that must parse it again. */
export function learnDescription(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
): void {
  if (statement.columns !== null || !isOfUsualTables(session, server)) return;
  const done = (types: Uint8Array, columns: string) => {
    noteTold(statement, types);
    session.context.statements.noteDescription(statement, columns);
  };
  describe(server, new Describing(statement.serverName, done, () => undefined));
}

/** Definitions have changed since the client was told what the statement is like. */
export function mayHaveChanged(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
): boolean {
  return (
    statement.columns !== null &&
    // What returns no rows never does.
    statement.columns !== '' &&
    statement.definitions !== definitionsOf(session) &&
    isOfUsualTables(session, server)
  );
}

/**
 * The statement has been parsed on a server connection after definitions have changed: what is bound waits until the server has said
 * what its result is like now. Where that is another one, whoever has prepared it before is told as by Postgres.
 */
export function compareResult(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
): void {
  const { serverName } = statement;
  // Not there for anybody until it is known to be the same.
  server.prepared.delete(serverName);
  server.comparing = serverName;
  const done = (_: Uint8Array, columns: string) => {
    server.comparing = '';
    server.prepared.add(serverName);
    if (columns !== statement.columns) {
      if (session.transaction.isOpen) session.statements.noteOutdated(statement);
      else noteChanged(session, statement);
      closeStatement(server, serverName);
    }
    session.requests?.wake();
  };
  describe(
    server,
    new Describing(serverName, done, () => {
      server.comparing = '';
    }),
  );
  server.send(FLUSH);
}
