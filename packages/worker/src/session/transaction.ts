import {
  ADVISORY_LOCK,
  CREATES_TEMP,
  HOLDS_CURSOR,
  LISTENS,
  type LocalSetting,
  READY,
  type SqlEffect,
  type SqlPlan,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { settleDefinitions } from '../plan/definitions.js';
import { quoted, unquoted } from '../scatter/control-step.js';
import {
  SETTINGS_MAX,
  savepointMark,
  settingMark,
  type TransactionMark,
  withoutFormer,
} from '../scatter/transaction-mark.js';
import { applyEffect, type BindValues } from './effects.js';
import { localSettingsDone } from './local-settings.js';
import { type ParameterSet, parameterFromValue, withParameter, withUnknownReading } from './parameter-set.js';
import { PIN_ADVISORY_LOCK, PIN_HOLD_CURSOR, PIN_LISTEN, PIN_TEMP } from './pin-reasons.js';
import { noteRestored, type RestoredStatement } from './restored-settings.js';
import type { Session } from './session.js';
import type { TextEdit } from './text-edits.js';

/** A Query or Execute whose statements do something to the session. `ref` of a pending reply. */
export interface PlanUse {
  readonly plan: SqlPlan;
  /** Statement whose completion comes next. */
  next: number;
  /** Parameters of the Bind, for set_config($1, …). */
  readonly values: BindValues | null;
  /** Statements that were sent in another form (restored-settings.ts). */
  readonly restored: readonly RestoredStatement[] | null;
  /** What of the text was sent otherwise; null: nothing that an error could point to. */
  readonly edits: readonly TextEdit[] | null;
  /** Of a DEALLOCATE or DISCARD ALL of a batch. */
  readonly batch?: BatchDeallocate;
  /** An error came before it ran. */
  undo?(): void;
}

/** The client's names went when it was sent, and others may have come behind it. */
export interface BatchDeallocate {
  /** Names that were on their way then, and go when it is done. */
  readonly late: readonly string[];
  /** Where in `ServerConnection.prepared` that begins which was made behind it; '': it takes away nothing there. */
  readonly mark: string;
  /** What it took away is not wanted back. */
  done(): void;
}

interface Savepoint {
  name: string;
  session: ParameterSet;
  server: ParameterSet;
}

function isPlanUse(ref: object): ref is PlanUse {
  return 'plan' in ref && 'next' in ref;
}

/**
 * What the current transaction did to the session's settings, so that ROLLBACK, ROLLBACK TO and a failed
 * implicit transaction take it back as Postgres does (guc.c, AtEOXact_GUC). The truth about how a
 * transaction ended is the server's CommandComplete and ReadyForQuery, not our reading.
 */
export class SessionTransaction {
  private readonly session: Session;
  /** Settings before the transaction changed any; null while it has not. */
  private base: Savepoint | null = null;
  private savepoints: Savepoint[] = [];
  /** SET LOCAL that other shards can be told, behind so many savepoints. */
  private locals: { depth: number; setting: LocalSetting }[] = [];
  private hasFailed = false;
  /** Ready status was T or E at the last ReadyForQuery. */
  isOpen = false;
  /** Answered since it began. */
  exchangeCount = 0;
  /** The session's settings as this transaction has them, where it has changed for itself what texts are read by; null: it has not. */
  local: ParameterSet | null = null;
  /** It made a table that COMMIT drops. */
  private dropsAtCommit = false;

  constructor(session: Session) {
    this.session = session;
  }

  /** Completions must be looked at although their statements are plain: one may be COMMIT or ROLLBACK. */
  get isTracking(): boolean {
    const { pins, tap, context } = this.session;
    return this.base !== null || pins !== 0 || tap !== null || context.pubSub.isUsed;
  }

  /** Of an open transaction: settings are not what they were at its beginning. */
  get hasSettingChanges(): boolean {
    return this.base !== null && this.base.session !== this.session.parameters;
  }

  /** Savepoints, and settings of the transaction alone, in order; null: there are too many. */
  get marks(): TransactionMark[] | null {
    if (this.locals.length >= SETTINGS_MAX) return null;
    const settingsAt = (depth: number): TransactionMark[] =>
      this.locals.filter((each) => each.depth === depth).map(({ setting }) => settingMark(setting));
    return withoutFormer([
      ...settingsAt(0),
      ...this.savepoints.flatMap(({ name }, at) => [savepointMark(quoted(name)), ...settingsAt(at + 1)]),
    ]);
  }

  /** Settings have been changed, or a savepoint made, since the transaction began. */
  get hasChanges(): boolean {
    return this.base !== null;
  }

  /** A statement has completed with this tag ('' for an empty query). Returns what the client is told instead. */
  statementDone(server: ServerConnection, ref: object | null, tag: string): Uint8Array | null {
    this.session.tap?.completed(tag);
    if (ref === null || !isPlanUse(ref)) {
      this.plainDone(server, tag);
      return null;
    }
    const index = ref.next;
    const statement = ref.plan.statements[index];
    ref.next++;
    if (statement === undefined) {
      this.plainDone(server, tag);
      return null;
    }
    const restored = ref.restored?.find((one) => one.index === index);
    if (restored !== undefined) {
      noteRestored(this.session, server, statement);
      return restored.answer;
    }
    this.pin(statement.flags);
    if (statement.effect === null) this.plainDone(server, tag);
    else this.effectDone(server, statement.effect, tag, ref);
    return null;
  }

  /** An error reached the client. */
  failed(): void {
    this.hasFailed = true;
  }

  ready(server: ServerConnection, status: number, hadError: boolean): void {
    this.settle(server, status, hadError);
    const { pubSub } = this.session.context;
    if (pubSub.isUsed) pubSub.returns.exchangeEnded(this.session, !this.isOpen);
  }

  private settle(server: ServerConnection, status: number, hadError: boolean): void {
    this.isOpen = status !== READY.Idle;
    const { context } = this.session;
    context.answers++;
    if (this.isOpen) context.answersInTransaction++;
    this.exchangeCount = this.isOpen ? this.exchangeCount + 1 : 0;
    if (this.isOpen) return;
    settleDefinitions(server);
    if (this.dropsAtCommit) this.session.needsProbe = true;
    this.dropsAtCommit = false;
    // An implicit transaction ends here: everything since the last COMMIT in it is kept or lost together.
    if (hadError || this.hasFailed) {
      this.session.context.pubSub.returns.rolledBack(this.session, -1);
      if (this.base !== null) this.rollback(server);
      // What pinned may have been rolled back with it.
      else if (this.session.pins !== 0) this.session.needsProbe = true;
    }
    this.end();
  }

  /** The open transaction of another session, whose server connection is this one's from now on. */
  takeOver(from: SessionTransaction): void {
    this.base = from.base;
    this.savepoints = from.savepoints;
    this.locals = from.locals;
    this.local = from.local;
    from.locals = [];
    this.isOpen = from.isOpen;
    this.exchangeCount = from.exchangeCount;
    from.savepoints = [];
    from.reset();
  }

  /** The transaction is rolled back on `server`, where it has done nothing else, and begun elsewhere. @returns what it is told there */
  leave(server: ServerConnection): readonly TransactionMark[] {
    const marks = this.marks ?? [];
    if (this.base !== null) server.parameters = this.base.server;
    this.reset();
    return marks;
  }

  /** It has been begun on `server`, and told all of that. */
  cameTo(server: ServerConnection, marks: readonly TransactionMark[]): void {
    const { parameters } = this.session;
    for (const { savepoint, setting, sql } of marks) {
      if (setting !== null)
        this.locals.push({ depth: this.savepoints.length, setting: { name: setting, sql } });
      if (savepoint === null) continue;
      this.beforeChange(server);
      this.savepoints.push({ name: unquoted(savepoint), session: parameters, server: server.parameters });
    }
  }

  /** The server connection is gone or given back. */
  reset(): void {
    this.isOpen = false;
    this.exchangeCount = 0;
    this.dropsAtCommit = false;
    this.end();
  }

  get savepointCount(): number {
    return this.savepoints.length;
  }

  /** SET LOCAL of what texts are read by. @param value '' or name null: only the server knows */
  readsLocally(name: string | null, value: string): void {
    const before = this.local ?? this.session.parameters;
    this.local =
      name === null || value === ''
        ? withUnknownReading(before)
        : withParameter(before, parameterFromValue(name, value));
  }

  /** Remembers the settings before the first change. */
  beforeChange(server: ServerConnection): void {
    this.base ??= { name: '', session: this.session.parameters, server: server.parameters };
  }

  /** Settings are about to be applied inside an open transaction: its end may take them back. */
  beforeSynchronise(server: ServerConnection): void {
    if (this.isOpen) this.beforeChange(server);
  }

  private end(): void {
    this.base = null;
    this.local = null;
    if (this.savepoints.length > 0) this.savepoints = [];
    if (this.locals.length > 0) this.locals = [];
    this.hasFailed = false;
  }

  private plainDone(server: ServerConnection, tag: string): void {
    if (tag === 'COMMIT' || tag === 'PREPARE TRANSACTION') this.end();
    else if (tag === 'ROLLBACK') this.rollback(server);
  }

  private rollback(server: ServerConnection): void {
    this.session.context.pubSub.returns.rolledBack(this.session, -1);
    if (this.base !== null) this.restore(server, this.base);
    if (this.session.pins !== 0) this.session.needsProbe = true;
    this.end();
  }

  private restore(server: ServerConnection, to: Savepoint): void {
    this.session.parameters = to.session;
    server.parameters = to.server;
  }

  private pin(flags: number): void {
    const { session } = this;
    if (session.isSessionMode) return;
    if ((flags & CREATES_TEMP) !== 0) session.pins |= PIN_TEMP;
    if ((flags & ADVISORY_LOCK) !== 0) session.pins |= PIN_ADVISORY_LOCK;
    if ((flags & LISTENS) !== 0) session.pins |= PIN_LISTEN;
    if ((flags & HOLDS_CURSOR) !== 0) session.pins |= PIN_HOLD_CURSOR;
  }

  private effectDone(
    server: ServerConnection,
    effect: SqlEffect,
    tag: string,
    { values, batch }: PlanUse,
  ): void {
    switch (effect.type) {
      case 'begin':
        return;
      case 'commit':
      case 'prepareTransaction':
        // COMMIT of a failed transaction answers ROLLBACK.
        this.plainDone(server, tag);
        return;
      case 'rollback':
        this.rollback(server);
        return;
      case 'savepoint':
        this.beforeChange(server);
        this.savepoints.push({
          name: effect.name,
          session: this.session.parameters,
          server: server.parameters,
        });
        return;
      case 'release':
        this.savepoints.length = Math.max(0, this.findSavepoint(effect.name));
        this.releaseLocals(this.savepoints.length);
        this.session.context.pubSub.returns.released(this.session, this.savepoints.length);
        return;
      case 'rollbackTo':
        this.rollbackTo(server, effect.name);
        return;
      case 'createTemp':
        this.dropsAtCommit ||= effect.onCommitDrop;
        return;
      default:
        this.noteLocals(effect, values);
        applyEffect(this.session, server, effect, values, batch ?? null);
    }
  }

  /** What was set behind a savepoint that is none any more holds on. */
  private releaseLocals(depthMax: number): void {
    const last = new Map<string, { depth: number; setting: LocalSetting }>();
    for (const each of this.locals) {
      const depth = Math.min(each.depth, depthMax);
      const key = `${depth} ${each.setting.name}`;
      last.delete(key);
      last.set(key, { ...each, depth });
    }
    this.locals = [...last.values()];
  }

  private noteLocals(effect: SqlEffect, values: BindValues | null): void {
    if (this.session.router?.shards == null) return;
    const depth = this.savepoints.length;
    for (const setting of localSettingsDone(this.session, effect, values) ?? []) {
      this.locals = this.locals.filter((each) => each.depth !== depth || each.setting.name !== setting.name);
      if (this.locals.length < SETTINGS_MAX) this.locals.push({ depth, setting });
    }
  }

  private rollbackTo(server: ServerConnection, name: string): void {
    const index = this.findSavepoint(name);
    if (index < 0) return;
    this.restore(server, this.savepoints[index]);
    // Which of them are left is the server's to know.
    if (this.local !== null) this.readsLocally(null, '');
    this.session.context.pubSub.returns.rolledBack(this.session, index);
    this.savepoints.length = index + 1;
    this.locals = this.locals.filter(({ depth }) => depth <= index);
    this.hasFailed = false;
    if (this.session.pins !== 0) this.session.needsProbe = true;
  }

  /** The innermost of that name, as Postgres finds it. */
  private findSavepoint(name: string): number {
    for (let index = this.savepoints.length - 1; index >= 0; index--) {
      if (this.savepoints[index].name === name) return index;
    }
    return -1;
  }
}
