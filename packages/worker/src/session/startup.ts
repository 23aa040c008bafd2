import {
  buildNegotiateProtocolVersion,
  cryptoRandom,
  PgDogError,
  PROTOCOL_MINOR_MAX,
  type StartupMessage,
  UNIX_ADDRESS,
} from '@pgdog-cluster/core';
import { Authentication } from './auth/authentication.js';
import { claimOnArrival } from './client-places.js';
import { isTlsRequired } from './client-tls.js';
import { makeParameterSet, type ParameterSet } from './parameter-set.js';
import { noteReplication } from './replication-startup.js';
import type { Session } from './session.js';
import { readSettings } from './startup-settings.js';

/** The start-up packet is whole: what it asks for is checked before the client is asked who it is. */
export function startSession(session: Session, message: StartupMessage): void {
  const { context } = session;
  session.user = message.user;
  session.database = message.database;
  session.phase = 'authenticating';
  if (session.tls === null && session.addr !== UNIX_ADDRESS && isTlsRequired(context.tls.clients)) {
    session.fail(new PgDogError('tls_required'));
    return;
  }
  if (message.minor > PROTOCOL_MINOR_MAX || message.unsupportedOptions.length > 0) {
    const minor = Math.min(message.minor, PROTOCOL_MINOR_MAX);
    session.send(buildNegotiateProtocolVersion(minor, message.unsupportedOptions));
  }
  session.isAdmin = context.config.admin.databases.includes(message.database);
  const refusal = claimOnArrival(session);
  if (refusal !== null) {
    context.arrivals.refused(refusal);
    session.fail(refusal);
    return;
  }
  const unfit = noteReplication(session, message);
  if (unfit !== null) {
    session.fail(unfit);
    return;
  }
  const settings = settingsOf(message);
  if (settings instanceof PgDogError) {
    session.fail(settings);
    return;
  }
  session.startupParameters = settings;
  session.parameters = settings;
  // Protocol 3.2 made the secret longer; 3.0 has four bytes.
  session.secret = cryptoRandom.bytes(message.minor >= 2 ? 32 : 4);
  const authentication = new Authentication(session);
  session.stream.setSink(authentication);
  authentication.begin();
}

/** Of messages that StartupCache hands out again. */
const knownSettings = new WeakMap<StartupMessage, ParameterSet>();

function settingsOf(message: StartupMessage): ParameterSet | PgDogError {
  const known = knownSettings.get(message);
  if (known !== undefined) return known;
  const settings = readSettings(message);
  if (settings instanceof PgDogError) return settings;
  const made = makeParameterSet(settings.values());
  knownSettings.set(message, made);
  return made;
}
