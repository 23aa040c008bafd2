/**
 * What one statement does to its session, once it has succeeded. Names are folded as Postgres folds them.
 *
 * A statement has one effect at most. Where several would fit, the strongest wins, in this order:
 * vacate, createTemp, setConfig, advisoryLock, advisoryUnlockAll, advisoryUnlock; the flags still tell of the others,
 * and a setConfig that lost sets UNKNOWN_EFFECT because its values are in no other place.
 */

/** One argument of set_config() as far as the text tells. */
export type SqlArgument =
  /** The text Postgres will see; null for NULL. Booleans are spelled as in the text or true/false. */
  | { constant: string | null }
  /** Number of the bind parameter, from 1. */
  | { parameter: number }
  /** Computed: only the server knows. */
  | { opaque: true };

export interface SetConfigCall {
  name: SqlArgument;
  value: SqlArgument;
  isLocal: SqlArgument;
}

export interface SetItem {
  /** Canonical lower-case parameter name. */
  name: string;
  /** Text that has the same effect when sent later, to another server, as a simple query. No ';'. */
  replay: string;
  /** The first value as Postgres sees it; '' when there is none that the text tells. */
  value?: string;
}

/**
 * `argumentTypes` includes its parentheses, or is ''. `body` is the text after AS; it runs at EXECUTE. `encoding`: how the client's
 * bytes have become these strings, and become bytes again; Latin 1 stands for whatever is not read as UTF-8.
 */
export interface PrepareEffect {
  type: 'prepare';
  name: string;
  body: string;
  argumentTypes: string;
  encoding: 'utf8' | 'latin1';
}

export type SqlEffect =
  /** `replay` as in SetItem. */
  | { type: 'set'; name: string; isLocal: boolean; replay: string; value?: string }
  /** SET SESSION CHARACTERISTICS: one item per default_transaction_… parameter, never local. */
  | { type: 'setMany'; items: SetItem[] }
  | { type: 'reset'; name: string }
  | { type: 'resetAll' }
  /** `isAll`: it says nothing but what it has set. */
  | { type: 'setConfig'; calls: SetConfigCall[]; isAll?: true }
  | PrepareEffect
  | { type: 'execute'; name: string }
  /** null: all of them. */
  | { type: 'deallocate'; name: string | null }
  | { type: 'discard'; what: 'all' | 'plans' | 'sequences' | 'temp' }
  | { type: 'listen'; channel: string }
  | { type: 'unlisten'; channel: string | null }
  /** `isStart`: by START TRANSACTION, whose command tag is its own. */
  | { type: 'begin'; isStart?: true }
  | { type: 'commit'; isChain: boolean }
  | { type: 'rollback'; isChain: boolean }
  | { type: 'savepoint'; name: string }
  | { type: 'release'; name: string }
  | { type: 'rollbackTo'; name: string }
  | { type: 'prepareTransaction' }
  /** A relation's bare name; `f()` for a function and `type t` for a type, which no drop effect names. */
  | { type: 'createTemp'; name: string; onCommitDrop: boolean }
  /** Relations that may be temporary: bare names, those qualified with another schema left out. */
  | { type: 'drop'; names: string[] }
  | { type: 'declareHold'; name: string }
  | { type: 'closeCursor'; name: string | null }
  | { type: 'advisoryLock'; isTry: boolean }
  | { type: 'advisoryUnlock' }
  | { type: 'advisoryUnlockAll' }
  /** Postgres refuses it while others are connected to that database of the server. */
  | { type: 'vacate'; database: string }
  | { type: 'showPgdog'; name: string }
  | { type: 'pin'; isOn: boolean };
