import { PgDogError, type PrepareEffect, SETS_PARAMETER, type SqlPlan } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { closeStatement, ensureStatement } from '../backend/synchronise.js';
import { SERVER_NAME_PREFIX, type TextReading } from '../plan/prepared-statements.js';
import { currentReading } from './client-statements.js';
import { NamesUnderWay } from './names-under-way.js';
import type { Session } from './session.js';
import { charactersIn, type TextEdit } from './text-edits.js';

/**
 * The text of PREPARE, EXECUTE and DEALLOCATE statements with the client's names replaced by those on the
 * server, after making sure that the server has what is executed. A PgDogError when the client's names do not
 * allow it, as Postgres would say.
 * @param edits is given where names were replaced
 */
export function renameStatements(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan,
  bytes: Uint8Array,
  edits: TextEdit[] = [],
): Uint8Array | PgDogError {
  const pieces: Uint8Array[] = [];
  let sent = 0;
  const { statements } = session;
  const own = server.isBatchOpen ? (statements.underWay ?? new NamesUnderWay()) : new NamesUnderWay();
  if (server.isBatchOpen) statements.underWay = own;
  let copied = 0;
  for (const statement of plan.statements) {
    const { effect } = statement;
    if (effect?.type === 'prepare' && isTaken(session, effect.name, own)) {
      // Made by this same Query: then it is there when the server gets here, and says 42P05. Any other might be missing, and its name be made with another text.
      if (server.isBatchOpen || typeof own.get(effect.name) !== 'string') return taken(effect.name);
    } else if (effect?.type === 'prepare') {
      const tooMany = statements.refusal();
      if (tooMany !== null) return tooMany;
      const reading = readingOfPrepare(session, server, plan, effect, own);
      const serverName = session.context.statements.sqlServerName(effect, reading);
      statements.expectSql(effect.name, reading);
      // Another client has prepared the same text on this server: take it away, so that PREPARE itself runs and
      // can fail as it must.
      if (server.prepared.has(serverName)) closeStatement(server, serverName);
      own.made(effect.name, serverName);
    }
    for (const span of statement.nameSpans) {
      const serverName = serverNameFor(session, server, span.name, own);
      if (serverName instanceof PgDogError) return serverName;
      // The server's to answer: a function may have prepared it, or a text that nobody has read; the transaction may have failed.
      if (serverName === null && !span.name.startsWith(SERVER_NAME_PREFIX)) continue;
      if (serverName === null) {
        return new PgDogError(
          'unknown_prepared_statement',
          `prepared statement "${span.name}" does not exist`,
        );
      }
      pieces.push(bytes.subarray(copied, span.start), Buffer.from(serverName, 'latin1'));
      const at = sent + charactersIn(bytes, copied, span.start);
      edits.push({ at, sent: serverName.length, given: charactersIn(bytes, span.start, span.end) });
      sent = at + serverName.length;
      copied = span.end;
    }
    if (effect?.type === 'deallocate') own.gone(effect.name);
  }
  pieces.push(bytes.subarray(copied));
  return Buffer.concat(pieces);
}

/** Two names for one text in one batch are two statements on the server: the first is not there yet to be taken away. */
function readingOfPrepare(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan,
  effect: PrepareEffect,
  own: NamesUnderWay,
): TextReading {
  const reading = readingFor(session, server, plan);
  const serverName = session.context.statements.sqlServerName(effect, reading);
  return own.hasServerName(serverName) ? { ...reading, readingKey: uniqueKey() } : reading;
}

function isTaken(session: Session, name: string, own: NamesUnderWay): boolean {
  const made = own.get(name);
  return made === undefined ? session.statements.get(name) !== undefined : made !== null;
}

function taken(name: string): PgDogError {
  return new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
}

function serverNameFor(
  session: Session,
  server: ServerConnection,
  name: string,
  own: NamesUnderWay,
): string | PgDogError | null {
  const made = own.get(name);
  if (made !== undefined) return made;
  const statement = session.statements.current(name, session);
  if (statement === undefined) return null;
  return ensureStatement(session, server, statement) ?? statement.serverName;
}

let uniqueKeys = 0;

/** Of a statement that is shared with nobody. */
function uniqueKey(): string {
  return `once ${++uniqueKeys}`;
}

/**
 * Under which settings a text sent now will be read. While some are being changed ahead of it nobody knows: such
 * a statement is shared with nobody, and read anew when it is next used. But a Query is converted before any of it runs.
 */
export function readingFor(session: Session, server: ServerConnection, plan: SqlPlan | null): TextReading {
  const reading = currentReading(session);
  if ((server.isSettingPending || session.isStateUnread) && server.isBatchOpen)
    return { readingKey: uniqueKey(), encoding: null };
  const isChanging = server.isSettingPending || ((plan?.flags ?? 0) & SETS_PARAMETER) !== 0;
  return isChanging ? { ...reading, readingKey: uniqueKey() } : reading;
}
