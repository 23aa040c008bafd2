import {
  canonicalParameterName,
  isTrueWord,
  type SetConfigCall,
  type SqlArgument,
  type SqlEffect,
  TRANSACTION_PARAMETERS,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { isUtf8Session } from '../pubsub/listener.js';
import {
  afterResetAll,
  decidesReading,
  isWide,
  makeParameterSet,
  makesTemp,
  NO_PARAMETERS,
  type ParameterSet,
  parameterFromValue,
  type SessionParameter,
  wholeParameter,
  withoutParameter,
  withParameter,
} from './parameter-set.js';
import { PIN_CONNECTION, PIN_OPERATOR, PIN_TEMP, PIN_UNKNOWN_SETTING } from './pin-reasons.js';
import type { Session } from './session.js';
import type { BatchDeallocate } from './transaction.js';

/** Text of the bound parameters, by number from 0; undefined = not known (binary format). */
export type BindValues = readonly (string | null | undefined)[];

/** Effects on settings: all that is followed in session mode. */
export function isSettingEffect({ type }: SqlEffect): boolean {
  return (
    type === 'set' ||
    type === 'setMany' ||
    type === 'reset' ||
    type === 'resetAll' ||
    type === 'setConfig' ||
    type === 'discard'
  );
}

/** A statement has succeeded: notes what it did to the session and to the server connection it ran on. */
export function applyEffect(
  session: Session,
  server: ServerConnection,
  effect: SqlEffect,
  values: BindValues | null,
  batch: BatchDeallocate | null,
): void {
  if (session.isSessionMode && !isSettingEffect(effect)) return;
  if (isSettingEffect(effect)) session.statements.encodingChanges++;
  switch (effect.type) {
    case 'set':
      if (effect.name === 'search_path') server.hasHadPath = true;
      if (!effect.isLocal) setParameter(session, server, effect);
      else if (decidesReading(effect.name)) session.transaction.readsLocally(effect.name, effect.value ?? '');
      return;
    case 'setMany':
      for (const item of effect.items) setParameter(session, server, item);
      return;
    case 'reset':
      resetParameter(session, server, effect.name);
      return;
    case 'resetAll':
      session.transaction.beforeChange(server);
      if (session.transaction.local !== null) session.transaction.readsLocally(null, '');
      server.parameters = afterResetAll(server.parameters);
      session.parameters = withStartup(session, afterResetAll(session.parameters));
      if ((session.pins & PIN_TEMP) !== 0) session.needsProbe = true;
      return;
    case 'setConfig':
      for (const call of effect.calls) setConfig(session, server, call, values);
      return;
    case 'discard':
      if (effect.what === 'all') discardAll(session, server, batch);
      else session.needsProbe = true;
      return;
    case 'prepare':
      session.statements.prepareSql(effect, session, server);
      return;
    case 'deallocate':
      deallocate(session, server, effect.name, batch);
      return;
    case 'pin':
      session.pins = effect.isOn ? session.pins | PIN_OPERATOR : session.pins & ~PIN_OPERATOR;
      return;
    case 'drop':
    case 'unlisten':
    case 'closeCursor':
    case 'advisoryUnlock':
    case 'advisoryUnlockAll':
      session.needsProbe = true;
      return;
    case 'advisoryLock':
      // Where it was not to be had, nothing holds the connection.
      if (effect.isTry) session.needsProbe = true;
      return;
    default:
      // createTemp, listen, declareHold: their flags have set the pin. execute: the statement's own.
      return;
  }
}

/** Of a text of this session we know which characters it holds only where it is ASCII or UTF-8. */
function isForeign(session: Session, text: string): boolean {
  return isWide(text) && !isUtf8Session(session);
}

/** It is the client's and must stay with it, but only this server connection knows it. */
function keepUnknown(session: Session, server: ServerConnection): void {
  if (!session.isSessionMode) session.pins |= PIN_UNKNOWN_SETTING;
  server.isSuspect = true;
}

function setParameter(session: Session, server: ServerConnection, given: SessionParameter): void {
  const { local } = session.transaction;
  // The half of a DateStyle that it leaves may be the transaction's.
  const entry = local === null ? given : wholeParameter(given, local.entries.get(given.name));
  if (isForeign(session, entry.replay)) {
    keepUnknown(session, server);
    return;
  }
  if (hasEncoding(session.parameters, entry) && hasEncoding(server.parameters, entry)) return;
  session.transaction.beforeChange(server);
  // It is in force from now on, whatever the transaction had for itself.
  if (local !== null && decidesReading(entry.name)) session.transaction.readsLocally(null, '');
  session.parameters = withParameter(session.parameters, entry);
  server.parameters = withParameter(server.parameters, entry);
  if (entry.name !== 'search_path' || session.isSessionMode) return;
  if (makesTemp(session.parameters)) session.pins |= PIN_TEMP;
  else if ((session.pins & PIN_TEMP) !== 0) session.needsProbe = true;
}

/**
 * SET NAMES of the encoding that it is already, in another spelling, as migrators put it ahead of their definitions: nothing is
 * changed, so a transaction may go on on other shards.
 */
function hasEncoding({ entries }: ParameterSet, { name, value }: SessionParameter): boolean {
  if (name !== 'client_encoding') return false;
  const now = entries.get(name)?.value ?? '';
  return now !== '' && encodingWord(now) === encodingWord(value ?? '');
}

/** As Postgres compares names of encodings (encnames.c): letters and digits alone. */
function encodingWord(name: string): string {
  const isKept = (char: string): boolean => (char >= 'a' && char <= 'z') || (char >= '0' && char <= '9');
  return Array.from(name.toLowerCase()).filter(isKept).join('');
}

/** RESET goes back to what the client asked for at start-up, which a shared server connection does not know. */
function resetParameter(session: Session, server: ServerConnection, name: string): void {
  session.transaction.beforeChange(server);
  if (session.transaction.local !== null && decidesReading(name)) session.transaction.readsLocally(null, '');
  server.parameters = withoutParameter(server.parameters, name);
  const atStartup = session.startupParameters.entries.get(name);
  session.parameters =
    atStartup === undefined
      ? withoutParameter(session.parameters, name)
      : withParameter(session.parameters, atStartup);
  if (name === 'search_path' && (session.pins & PIN_TEMP) !== 0) session.needsProbe = true;
}

function withStartup(session: Session, kept: typeof NO_PARAMETERS): typeof NO_PARAMETERS {
  return makeParameterSet(new Map([...session.startupParameters.entries, ...kept.entries]).values());
}

function setConfig(
  session: Session,
  server: ServerConnection,
  call: SetConfigCall,
  values: BindValues | null,
): void {
  const isLocal = resolve(call.isLocal, values);
  const name = resolve(call.name, values);
  if (typeof name !== 'string' || canonicalParameterName(name) === 'search_path') server.hasHadPath = true;
  // NULL counts as false, as in set_config_by_name.
  if (typeof isLocal === 'string' && isTrueWord(isLocal)) {
    const local = typeof name === 'string' ? canonicalParameterName(name) : null;
    if (decidesReading(local)) session.transaction.readsLocally(local, resolve(call.value, values) ?? '');
    return;
  }
  const value = resolve(call.value, values);
  const key = name === undefined || name === null ? name : canonicalParameterName(name);
  if (isLocal === undefined || key === undefined || value === undefined || key === 'seed') {
    keepUnknown(session, server);
    return;
  }
  if (key === null || TRANSACTION_PARAMETERS.has(key)) return;
  // A NULL value is a reset to the default (set_config_by_name in guc.c).
  if (value === null) resetParameter(session, server, key);
  else setParameter(session, server, parameterFromValue(key, value));
}

/** undefined = only the server knows. */
function resolve(argument: SqlArgument, values: BindValues | null): string | null | undefined {
  if ('constant' in argument) return argument.constant;
  if ('parameter' in argument) return values?.[argument.parameter - 1];
  return undefined;
}

function discardAll(session: Session, server: ServerConnection, batch: BatchDeallocate | null): void {
  session.context.pubSub.discarded(session);
  server.parameters = NO_PARAMETERS;
  session.parameters = session.startupParameters;
  server.unnamedId = 0;
  server.isSuspect = false;
  server.isTainted = false;
  session.isStateUnread = false;
  deallocate(session, server, null, batch);
  session.pins &= PIN_OPERATOR | PIN_CONNECTION;
  if (!session.isSessionMode && makesTemp(session.parameters)) session.pins |= PIN_TEMP;
}

/** Of one name: the server has lost a stand-in (sql-statements.ts), and keeps the statement for whoever prepares the same. */
function deallocate(
  session: Session,
  server: ServerConnection,
  name: string | null,
  batch: BatchDeallocate | null,
): void {
  const { statements } = session;
  if (batch !== null) {
    batch.done();
    for (const late of batch.late) statements.remove(late);
    if (batch.mark !== '') forgetUpTo(server, batch.mark);
  } else if (name !== null) statements.remove(name);
  else {
    server.prepared.clear();
    statements.clear();
  }
}

function forgetUpTo(server: ServerConnection, mark: string): void {
  const { prepared } = server;
  // It was evicted, and which came behind it is not known any more.
  if (!prepared.has(mark)) server.isPreparedOutdated = true;
  for (const serverName of prepared) {
    prepared.delete(serverName);
    if (serverName === mark) return;
  }
}
