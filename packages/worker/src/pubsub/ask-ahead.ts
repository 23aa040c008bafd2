import { FRONTEND, FrameWriter, LISTENS, type SqlPlan, TARGET } from '@pgdog-cluster/core';
import { KIND_BIND, KIND_CLOSE, KIND_EXECUTE, KIND_PARSE, SWALLOW } from '../backend/pending-replies.js';
import type { ServerConnection } from '../backend/server-connection.js';

/** Of the prepared statement and the portal of ours inside a client's batch. */
const NAME = 'pgdog_cluster_listen';
const writer = new FrameWriter(512);

/** Whether a statement changes what the session listens to. One of unknown effect may, too. */
export function touchesListening(plan: SqlPlan): boolean {
  if ((plan.flags & LISTENS) !== 0) return true;
  return plan.statements.some(({ effect }) => effect?.type === 'unlisten');
}

/** UNLISTEN * is in it. */
export function unlistensAll({ statements }: SqlPlan): boolean {
  return statements.some(({ effect }) => effect?.type === 'unlisten' && effect.channel === null);
}

/** Runs statements of ours in the transaction of the client's next one, and in one that is of its own if none is open. */
export function askAhead(server: ServerConnection, statements: readonly string[]): void {
  if (!server.isBatchOpen) {
    server.ask({ sql: statements.join(';'), onError() {}, onDone() {} });
    return;
  }
  for (const sql of statements) {
    writer.reset();
    writer.begin(FRONTEND.Parse).cstring(NAME).cstring(sql).int16(0).end();
    writer.begin(FRONTEND.Bind).cstring(NAME).cstring(NAME).int16(0).int16(0).int16(0).end();
    writer.begin(FRONTEND.Execute).cstring(NAME).int32(0).end();
    writer.begin(FRONTEND.Close).byte(TARGET.Portal).cstring(NAME).end();
    writer.begin(FRONTEND.Close).byte(TARGET.Statement).cstring(NAME).end();
    for (const kind of [KIND_PARSE, KIND_BIND, KIND_EXECUTE, KIND_CLOSE, KIND_CLOSE]) {
      server.pending.push(kind | SWALLOW, null);
    }
    server.send(writer.view());
  }
}
