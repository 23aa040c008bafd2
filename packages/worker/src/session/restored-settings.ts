import {
  BACKEND,
  CLIENT_UTF8,
  FrameWriter,
  PgDogError,
  quoteLiteral,
  type SqlPlan,
  type StatementPlan,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { afterResetAll, isWide, makeParameterSet, type SessionParameter } from './parameter-set.js';
import type { Session } from './session.js';

const RESET_DONE = commandComplete('RESET');
const SET_DONE = commandComplete('SET');

function commandComplete(tag: string): Uint8Array {
  return new FrameWriter().begin(BACKEND.CommandComplete).cstring(tag).end().take();
}

/** A statement of ours in place of a RESET: the tag the client is told. */
export interface RestoredStatement {
  index: number;
  answer: Uint8Array;
}

export interface RestoredText {
  text: Uint8Array;
  statements: readonly RestoredStatement[];
}

/**
 * `RESET x; SELECT …` in one Query, where x was set at start-up. RESET alone leads to the server's default, and the
 * start-up value comes with the next request (synchronise.ts); here it must be there for the next statement. So RESET is
 * followed by the start-up value within one statement. Null: nothing of the kind in the text.
 */
export function restoreWithin(
  session: Session,
  plan: SqlPlan,
  bytes: Uint8Array,
): RestoredText | PgDogError | null {
  const last = plan.statements.length - 1;
  const isConcerned = plan.statements.some((one, index) => index < last && wanted(session, one).length > 0);
  if (!isConcerned) return null;
  const text = Buffer.from(bytes).toString(plan.encoding);
  const parsed = session.context.parser.parse(text);
  if (parsed === null || parsed === 'unread' || parsed.length !== plan.statements.length) return refusal();
  const utf8 = Buffer.from(text);
  const pieces: Uint8Array[] = [];
  const statements: RestoredStatement[] = [];
  let copied = 0;
  for (const [index, statement] of plan.statements.entries()) {
    const settings = index < last ? wanted(session, statement) : [];
    if (settings.length === 0) continue;
    // The server would read it in the client's encoding.
    if (session.clientReading !== CLIENT_UTF8 && settings.some(({ replay }) => isWide(replay)))
      return refusal();
    const { start, end, node } = parsed[index];
    const own = utf8.toString('utf8', start, end);
    pieces.push(utf8.subarray(copied, start), Buffer.from(withSettings(own, settings)));
    copied = end;
    // SET x TO DEFAULT is a RESET by another name.
    statements.push({ index, answer: node.kind === 'VAR_SET_DEFAULT' ? SET_DONE : RESET_DONE });
  }
  pieces.push(utf8.subarray(copied));
  const whole = Buffer.concat(pieces).toString('utf8');
  const restored = Buffer.from(whole, plan.encoding);
  // A setting in another alphabet than the text's bytes have room for.
  return restored.toString(plan.encoding) === whole ? { text: restored, statements } : refusal();
}

/** The start-up settings to which the statement leads. */
function wanted(session: Session, { effect }: StatementPlan): SessionParameter[] {
  const { entries } = session.startupParameters;
  if (effect?.type === 'resetAll') return [...entries.values()].filter(({ name }) => isResetByAll(name));
  const entry = effect?.type === 'reset' ? entries.get(effect.name) : undefined;
  return entry === undefined ? [] : [entry];
}

function isResetByAll(name: string): boolean {
  return name !== 'role' && name !== 'session_authorization';
}

/** DO: one statement, no rows. Start-up settings are replayed by SELECT set_config(…). */
function withSettings(statement: string, settings: readonly SessionParameter[]): string {
  const values = settings.map(({ replay }) => `PERFORM${replay.slice('SELECT'.length)};`);
  return ` DO ${quoteLiteral(`BEGIN\n${statement}\n;${values.join('')}END`)}`;
}

function refusal(): PgDogError {
  return new PgDogError(
    'unsupported_feature',
    'RESET of a start-up setting must be a message of its own in this text',
  );
}

/** It has succeeded: session and server connection both have the start-up value now. */
export function noteRestored(session: Session, server: ServerConnection, statement: StatementPlan): void {
  const settings = wanted(session, statement);
  session.transaction.beforeChange(server);
  const isAll = statement.effect?.type === 'resetAll';
  for (const side of [session, server]) {
    const kept = isAll ? afterResetAll(side.parameters) : side.parameters;
    const entries = new Map(kept.entries);
    for (const entry of settings) entries.set(entry.name, entry);
    side.parameters = makeParameterSet(entries.values());
  }
}
