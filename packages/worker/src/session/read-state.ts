import { quoteLiteral, TRANSACTION_PARAMETERS } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { SERVER_NAME_PREFIX } from '../plan/prepared-statements.js';
import { isUtf8Session } from '../pubsub/listener.js';
import { rowTexts } from '../wire/row-texts.js';
import {
  isWide,
  makesTemp,
  type ParameterSet,
  parameterFromValue,
  withoutParameter,
  withParameter,
} from './parameter-set.js';
import {
  PIN_ADVISORY_LOCK,
  PIN_HOLD_CURSOR,
  PIN_LISTEN,
  PIN_TEMP,
  PIN_UNKNOWN_SETTING,
} from './pin-reasons.js';
import type { Session } from './session.js';

const EQUALS = 'OPERATOR(pg_catalog.=)';
const OWN_NAME = `pg_catalog.starts_with(name, '${SERVER_NAME_PREFIX}')`;

const IS_TEMP = 'OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()';
/** How much is in the temporary schema: relations, functions, types, and what else a schema can hold. */
export const TEMP_COUNT_SQL = [
  `pg_class WHERE relnamespace ${IS_TEMP} AND relkind OPERATOR(pg_catalog.<>) 't'`,
  `pg_proc WHERE pronamespace ${IS_TEMP}`,
  `pg_type WHERE typnamespace ${IS_TEMP}`,
  `pg_operator WHERE oprnamespace ${IS_TEMP}`,
  `pg_opfamily WHERE opfnamespace ${IS_TEMP}`,
  `pg_collation WHERE collnamespace ${IS_TEMP}`,
  `pg_conversion WHERE connamespace ${IS_TEMP}`,
  `pg_statistic_ext WHERE stxnamespace ${IS_TEMP}`,
  `pg_ts_config WHERE cfgnamespace ${IS_TEMP}`,
  `pg_ts_dict WHERE dictnamespace ${IS_TEMP}`,
]
  .map((from) => `(SELECT pg_catalog.count(*) FROM pg_catalog.${from})`)
  .join(' OPERATOR(pg_catalog.+) ');

/**
 * All that a statement may have left of which we know nothing, as rows of three texts: what it is, a name, a
 * value. Half a millisecond of the server's, nearly all of it for pg_settings; what is called unqualified here
 * nobody can shadow.
 */
const STATE_SQL = [
  `SELECT context, name, setting FROM pg_catalog.pg_settings WHERE source ${EQUALS} 'session'`,
  "SELECT 'as', 'session_authorization', CASE WHEN pg_catalog.current_setting('session_authorization') " +
    `${EQUALS} usename THEN 'none' ELSE pg_catalog.current_setting('session_authorization') END ` +
    `FROM pg_catalog.pg_stat_activity WHERE pid ${EQUALS} pg_catalog.pg_backend_pid()`,
  "SELECT 'as', 'role', pg_catalog.current_setting('role')",
  `SELECT 'held', 'temp', (${TEMP_COUNT_SQL})::pg_catalog.text`,
  "SELECT 'held', 'lock', pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_locks " +
    `WHERE locktype ${EQUALS} 'advisory' AND pid ${EQUALS} pg_catalog.pg_backend_pid()`,
  "SELECT 'held', 'listen', pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_listening_channels()",
  "SELECT 'held', 'cursor', pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_cursors WHERE is_holdable",
  "SELECT 'held', 'statement', pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_prepared_statements " +
    `WHERE NOT ${OWN_NAME}`,
  "SELECT 'ours', (pg_catalog.count(*) FILTER (WHERE from_sql))::pg_catalog.text, " +
    `pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_prepared_statements WHERE ${OWN_NAME}`,
].join(' UNION ALL ');

const TIMEOUT = 'statement_timeout';
/** Ahead of what we ask, in the same Query: for this one transaction. */
const UNTIMED = `SET LOCAL ${TIMEOUT} TO 0;`;
const TIMEOUT_SQL = `SELECT 'timeout', '${TIMEOUT}', pg_catalog.current_setting('${TIMEOUT}')`;

/** What we ask is not to end by a time that the client has set for its own statements; '' where it has set none. */
export function untimed({ parameters }: ServerConnection): string {
  return parameters.entries.has(TIMEOUT) ? UNTIMED : '';
}

/** Custom settings are in no view: those that somebody is known to use are asked for by name. */
function stateSql(session: Session, server: ServerConnection): string {
  const names = new Set([...server.pool.code.settingNames, ...session.mentionedNames]);
  session.mentionedNames = [];
  for (const parameters of [session.parameters, server.parameters]) {
    for (const name of parameters.entries.keys()) if (name.includes('.')) names.add(name);
  }
  const unlimited = untimed(server);
  const ahead = unlimited === '' ? '' : `${TIMEOUT_SQL};${unlimited}`;
  if (names.size === 0) return ahead + STATE_SQL;
  const list = [...names].map((name) => `(${quoteLiteral(name)})`).join(',');
  return (
    `${ahead}SELECT 'user', n, v FROM (VALUES ${list}) AS names (n), pg_catalog.current_setting(n, true) AS v ` +
    `WHERE v OPERATOR(pg_catalog.<>) '' UNION ALL ${STATE_SQL}`
  );
}

const HELD_PINS: Record<string, number> = {
  temp: PIN_TEMP,
  lock: PIN_ADVISORY_LOCK,
  listen: PIN_LISTEN,
  cursor: PIN_HOLD_CURSOR,
  statement: PIN_UNKNOWN_SETTING,
};

/** Of a text in another encoding: what is not ASCII, and as what SJIS and its kin write the yen sign and the overline. */
function isUnsure(text: string): boolean {
  return isWide(text) || text.includes('\\') || text.includes('~');
}

/** What the rows say. */
class FoundState {
  pins = 0;
  hasOwnStatements = false;
  areOursGenuine = true;
  isComplete = false;
  readonly settings = new Map<string, string>();
  /** Where ours is another one while the server is asked. */
  #timeout: string | null = null;
  readonly identity: [name: string, value: string][] = [];

  /** @param isKnown it is in an encoding that we read */
  take(server: ServerConnection, kind: string, name: string, value: string, isKnown: boolean): void {
    if (kind === 'timeout') this.#timeout = value;
    else if (!isKnown && (isUnsure(name) || isUnsure(value))) this.pins |= PIN_UNKNOWN_SETTING;
    else if (kind === 'as') this.identity.push([name, value]);
    else if (kind === 'held') this.takeHeld(name, value);
    else if (kind === 'ours') {
      this.areOursGenuine = name === '0' && Number(value) === server.prepared.size;
      this.isComplete = true;
    } else this.takeSetting(server, kind, name.toLowerCase(), value);
  }

  private takeHeld(name: string, count: string): void {
    if (count === '0') return;
    this.pins |= HELD_PINS[name] ?? 0;
    if (name === 'statement') this.hasOwnStatements = true;
  }

  private takeSetting(server: ServerConnection, context: string, name: string, value: string): void {
    if (TRANSACTION_PARAMETERS.has(name)) return;
    if (name === TIMEOUT && this.#timeout !== null) return;
    // A function may set with its owner's rights what the session may not set again.
    if (context !== 'user' && !server.parameters.entries.has(name)) this.pins |= PIN_UNKNOWN_SETTING;
    else this.settings.set(name, value);
  }

  /** The settings in force, as a set. */
  parametersOver(known: ParameterSet): ParameterSet {
    let set = known;
    if (this.#timeout !== null) this.settings.set(TIMEOUT, this.#timeout);
    for (const name of known.entries.keys()) {
      if (!this.settings.has(name) && !this.identity.some(([one]) => one === name)) {
        set = withoutParameter(set, name);
      }
    }
    for (const [name, value] of this.settings) set = withParameter(set, parameterFromValue(name, value));
    for (const [name, value] of this.identity) {
      set =
        value === 'none' ? withoutParameter(set, name) : withParameter(set, parameterFromValue(name, value));
    }
    return set;
  }
}

/**
 * A statement of unknown effect is through, and its client's connection idle: what it set is the client's from now
 * on, and goes where it goes; what cannot be moved pins.
 */
export function readState(session: Session, server: ServerConnection): void {
  session.isStateUnread = false;
  session.needsProbe = false;
  const found = new FoundState();
  // What comes next waits: the answer may lead to a further statement of ours, which may not stand behind the client's.
  server.hasEffectPending = true;
  server.ask({
    sql: stateSql(session, server),
    onRow(bytes, start, end) {
      const [kind = '', name = '', value = ''] = rowTexts(bytes, start, end);
      found.take(server, kind, name, value, isUtf8Session(session));
    },
    // Then nothing is known, and the client keeps what it has.
    onError() {},
    onDone() {
      if (session.server === server) settle(session, server, found);
    },
  });
}

const HELD = PIN_TEMP | PIN_ADVISORY_LOCK | PIN_LISTEN | PIN_HOLD_CURSOR;

function settle(session: Session, server: ServerConnection, found: FoundState): void {
  if (!found.isComplete) {
    session.pins |= PIN_UNKNOWN_SETTING;
    server.needsReset = true;
    return;
  }
  const before = session.parameters.entries.get('client_encoding')?.replay;
  server.parameters = found.parametersOver(server.parameters);
  session.parameters = server.parameters;
  if (session.parameters.entries.get('client_encoding')?.replay !== before)
    session.statements.encodingChanges++;
  session.pins = (session.pins & ~HELD) | found.pins;
  if (makesTemp(session.parameters)) session.pins |= PIN_TEMP;
  if (session.pins !== 0) server.needsReset = true;
  if (found.hasOwnStatements) return;
  server.isTainted = false;
  if (found.areOursGenuine) return;
  server.prepared.clear();
  server.ask({ sql: 'DEALLOCATE ALL', onError() {}, onDone() {} });
}
