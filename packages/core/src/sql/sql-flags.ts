/**
 * What a statement may do to its session, as bits. A flag says "may": it is set whenever our reading of the
 * text cannot rule the thing out. What no reading of the text can see (functions behind triggers, views,
 * user-defined operators, casts and column defaults) is outside of these flags.
 */

/** May change the session in a way that is not described by an effect; see SqlPlan. */
export const UNKNOWN_EFFECT = 1 << 0;
/** BEGIN or START TRANSACTION. */
export const BEGINS_TRANSACTION = 1 << 1;
/** DML or DDL. Set by the full reading only: the shared plain plan leaves it out. */
export const WRITES = 1 << 2;
/** Reads what nextval left in this session: currval(), lastval(). */
export const USES_SEQUENCE_STATE = 1 << 3;
/** nextval(), setval(). */
export const ADVANCES_SEQUENCE = 1 << 4;
/** Postgres 18's grammar does not accept the text. */
export const SYNTAX_ERROR = 1 << 5;
/** Any of BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, PREPARE TRANSACTION and their relatives. */
export const TRANSACTION_CONTROL = 1 << 6;
/** PREPARE, EXECUTE, DEALLOCATE, DISCARD ALL and DISCARD PLANS. */
export const PREPARE_LEVEL = 1 << 7;
/** COPY … FROM STDIN or TO STDOUT. */
export const RETURNS_COPY = 1 << 8;
/** Creates something in the session's temporary schema, or makes that schema the place of creation. */
export const CREATES_TEMP = 1 << 9;
/** Takes a session-level advisory lock. */
export const ADVISORY_LOCK = 1 << 10;
export const LISTENS = 1 << 11;
/** DECLARE … WITH HOLD. */
export const HOLDS_CURSOR = 1 << 12;
/** SET, RESET, set_config(), whether local or not. */
export const SETS_PARAMETER = 1 << 13;
/**
 * A '…' string holds a backslash: the reading is right only where standard_conforming_strings is on. Or there are
 * bytes from 0x80 up: then it is right only where no character of client_encoding ends in an ASCII byte, be the text
 * valid UTF-8 or not ("敕\\" is two characters of Shift JIS, and no backslash). Elsewhere such a text is one of unknown effect.
 */
export const DEPENDS_ON_SETTINGS = 1 << 14;
/** Leaves something that only the end of the connection undoes: LOAD, temporary slots, a base backup… */
export const BINDS_CONNECTION = 1 << 15;
/** Makes or changes functions, or what runs them unseen: triggers, views, rules, policies, operators… */
export const DEFINES_CODE = 1 << 16;
/** Makes or changes a relation that a replica may not be able to read: unlogged, foreign, of another name… */
export const DEFINES_RELATION = 1 << 17;

/** Flags that a text called plain may still have on a full reading. */
export const HARMLESS_FLAGS = WRITES | BEGINS_TRANSACTION | TRANSACTION_CONTROL;

/** What stays on a server connection and keeps its session there: what follows must be able to write. */
export const KEEPS_CONNECTION =
  ADVISORY_LOCK | BINDS_CONNECTION | CREATES_TEMP | HOLDS_CURSOR | LISTENS | USES_SEQUENCE_STATE;

const FLAG_NAMES: readonly [number, string][] = [
  [UNKNOWN_EFFECT, 'unknownEffect'],
  [BEGINS_TRANSACTION, 'beginsTransaction'],
  [WRITES, 'writes'],
  [USES_SEQUENCE_STATE, 'usesSequenceState'],
  [ADVANCES_SEQUENCE, 'advancesSequence'],
  [SYNTAX_ERROR, 'syntaxError'],
  [TRANSACTION_CONTROL, 'transactionControl'],
  [PREPARE_LEVEL, 'prepareLevel'],
  [RETURNS_COPY, 'returnsCopy'],
  [CREATES_TEMP, 'createsTemp'],
  [ADVISORY_LOCK, 'advisoryLock'],
  [LISTENS, 'listens'],
  [HOLDS_CURSOR, 'holdsCursor'],
  [SETS_PARAMETER, 'setsParameter'],
  [DEPENDS_ON_SETTINGS, 'dependsOnSettings'],
  [BINDS_CONNECTION, 'bindsConnection'],
  [DEFINES_CODE, 'definesCode'],
  [DEFINES_RELATION, 'definesRelation'],
];

/** The names of the bits that are set, for logs and failing tests. */
export function sqlFlagNames(flags: number): string[] {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}
