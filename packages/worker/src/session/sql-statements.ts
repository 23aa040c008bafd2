import { PgDogError, SETS_PARAMETER, type SqlPlan } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { closeStatement, ensureStatement } from '../backend/synchronise.js';
import { SERVER_NAME_PREFIX } from '../plan/prepared-statements.js';
import type { Session } from './session.js';

/**
 * The text of PREPARE, EXECUTE and DEALLOCATE statements with the client's names replaced by those on the
 * server, after making sure that the server has what is executed. A PgDogError when the client's names do not
 * allow it, as Postgres would say.
 */
export function renameStatements(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan,
  bytes: Uint8Array,
): Uint8Array | PgDogError {
  const pieces: Uint8Array[] = [];
  /** Names that an earlier statement of the same text makes or drops. */
  const own = new Map<string, string | null>();
  let copied = 0;
  for (const statement of plan.statements) {
    const { effect } = statement;
    if (effect?.type === 'prepare') {
      const readingKey = readingKeyFor(session, server, plan);
      const serverName = session.context.statements.sqlServerName(
        effect.argumentTypes,
        effect.body,
        readingKey,
      );
      session.statements.expectSql(effect.name, readingKey);
      const refusal = preparePossible(session, server, effect.name, serverName, own);
      if (refusal !== null) return refusal;
      own.set(effect.name, serverName);
    }
    for (const span of statement.nameSpans) {
      const serverName = serverNameFor(session, server, span.name, own);
      // The server's to answer: a function may have prepared it, or a text that nobody has read; the transaction may have failed.
      if (serverName === null && !span.name.startsWith(SERVER_NAME_PREFIX)) continue;
      if (serverName === null) {
        return new PgDogError(
          'unknown_prepared_statement',
          `prepared statement "${span.name}" does not exist`,
        );
      }
      pieces.push(bytes.subarray(copied, span.start), Buffer.from(serverName, 'latin1'));
      copied = span.end;
    }
    if (effect?.type === 'deallocate') {
      if (effect.name === null) own.clear();
      else own.set(effect.name, null);
    }
  }
  pieces.push(bytes.subarray(copied));
  return Buffer.concat(pieces);
}

function preparePossible(
  session: Session,
  server: ServerConnection,
  name: string,
  serverName: string,
  own: ReadonlyMap<string, string | null>,
): PgDogError | null {
  const isTaken = own.has(name) ? own.get(name) !== null : session.statements.get(name) !== undefined;
  if (isTaken) {
    return new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
  }
  const tooMany = session.statements.refusal();
  if (tooMany !== null) return tooMany;
  // Another client has prepared the same text on this server: take it away, so that PREPARE itself runs and
  // can fail as it must.
  if (server.prepared.has(serverName)) closeStatement(server, serverName);
  return null;
}

function serverNameFor(
  session: Session,
  server: ServerConnection,
  name: string,
  own: ReadonlyMap<string, string | null>,
): string | null {
  const made = own.get(name);
  if (made !== undefined) return made;
  const statement = session.statements.current(name, session.parameters);
  if (statement === undefined) return null;
  ensureStatement(session, server, statement);
  return statement.serverName;
}

let uniqueKeys = 0;

/**
 * Under which settings a text sent now will be read. While some are being changed ahead of it nobody knows: such
 * a statement is shared with nobody, and read anew when it is next used.
 */
export function readingKeyFor(session: Session, server: ServerConnection, plan: SqlPlan | null): string {
  const isChanging = server.isSettingPending || ((plan?.flags ?? 0) & SETS_PARAMETER) !== 0;
  return isChanging ? `once ${++uniqueKeys}` : session.parameters.readingKey;
}
