import {
  buildBackendKeyData,
  buildErrorResponse,
  buildParameterStatus,
  PgDogError,
  parseErrorFields,
  processIdOf,
  READY_FOR_QUERY_IDLE,
} from '@pgdog-cluster/core';
import { settingsSql } from '../backend/reset.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { shardCountOf, startupProblem } from '../route/role-setting.js';
import { SessionRouter } from '../route/session-router.js';
import { wishOf } from '../shard/shard-wish.js';
import { AdminSink } from './admin-session.js';
import { askForPool } from './auth/ask-supervisor.js';
import { claimAdmin, claimAtLogin } from './client-places.js';
import { sessionGone } from './close.js';
import { makesTemp } from './parameter-set.js';
import { PIN_TEMP } from './pin-reasons.js';
import { startReplication } from './replication.js';
import { RequestSink } from './requests.js';
import { seekServer } from './seek-server.js';
import type { Session } from './session.js';

/**
 * Authentication has succeeded.
 * @param onPoolMade what the client has shown is told to the pools, should they be made again
 * @param returns how often that has been
 */
export function login(session: Session, onPoolMade: () => void = () => {}, returns = 0): void {
  const { context } = session;
  session.phase = 'login';
  context.arrivals.settled(session);
  if (session.isAdmin) {
    const refusal = claimAdmin(session);
    if (refusal !== null) {
      session.fail(refusal);
      return;
    }
    session.stream.setSink(new AdminSink(session));
    finishLogin(session, ADMIN_REPORTS);
    return;
  }
  const cluster = context.clusterFor(session.database, session.user);
  const snapshot =
    cluster === null ? context.directory.pool(session.database, session.user) : cluster.standing().snapshot;
  if (snapshot === null) {
    session.fail(new PgDogError('unknown_database', `database "${session.database}" does not exist`));
    return;
  }
  const pool = context.poolFor(snapshot);
  session.pool = pool;
  session.homePool = pool;
  if (context.holds.of(session.database).isDisabled) {
    session.fail(new PgDogError('database_disabled', `database "${session.database}" is disabled`));
    return;
  }
  const refusal = claimAtLogin(session, snapshot);
  if (refusal === 'closed') {
    returnToTenant(session, returns, () => {
      onPoolMade();
      login(session, onPoolMade, returns + 1);
    });
    return;
  }
  if (refusal !== null) {
    context.arrivals.refused(refusal);
    session.fail(refusal);
    return;
  }
  if (session.replication !== 'none') {
    seekStream(session);
    return;
  }
  session.isSessionMode = snapshot.poolerMode === 'session';
  if (cluster !== null)
    session.router = new SessionRouter(session, cluster, context.sharded.deskFor(session));
  const wrong =
    startupProblem(session.startupParameters, shardCountOf(session)) ?? shardedModeProblem(session);
  if (wrong !== null) {
    session.fail(wrong);
    return;
  }
  const known = pool.knownReports.of(session.startupParameters);
  if (known !== null) {
    becomeReady(session, known);
    return;
  }
  // Nobody has logged in with these settings yet: a server must accept them and tell what it reports.
  session.stream.block();
  session.onServer = (server) => validateSettings(session, server);
  seekServer(session);
}

/** A replication connection has a server connection of its own from the first moment. */
function seekStream(session: Session): void {
  if (session.context.sharded.get(session.database) !== null) {
    session.fail(new PgDogError('shard_session', 'a sharded database has no one stream of replication'));
    return;
  }
  session.stream.block();
  session.onServer = (server) => {
    startReplication(session, server);
    finishLogin(session, server.reported);
  };
  seekServer(session);
}

/** It was asked for, so it stays for tenant_idle_timeout: a second time hardly ever comes. */
const RETURNS_MAX = 10;

/** Its database has been idle for long and is being forgotten at this moment: it is made again, and the login goes on. */
function returnToTenant(session: Session, returns: number, onPool: () => void): void {
  session.pool = null;
  session.homePool = null;
  if (returns >= RETURNS_MAX) {
    session.fail(new PgDogError('access_removed', 'the database is being forgotten', { hint: 'Reconnect.' }));
    return;
  }
  // Nothing may come from the client before it is ready, as during authentication.
  session.phase = 'authenticating';
  askForPool(session, onPool);
}

/**
 * A session that keeps its server connection is on one shard: which one must be said. So it must where there are no
 * transactions, for a write on several shards is one.
 */
function shardedModeProblem(session: Session): PgDogError | null {
  const { startupParameters, pool } = session;
  const hasTransactions = pool?.snapshot.poolerMode === 'transaction';
  if (hasTransactions || shardCountOf(session) === 1 || wishOf(startupParameters).shard !== null) return null;
  return new PgDogError('shard_session');
}

function validateSettings(session: Session, server: ServerConnection): void {
  const { pool, startupParameters } = session;
  if (pool === null) return;
  const sql = settingsSql(server, startupParameters);
  let failure: Uint8Array | null = null;
  server.ask({
    sql,
    onError(frame) {
      failure = frame;
    },
    onDone() {
      // The server has them, be the client still there or not; refused, all of it was rolled back.
      if (failure === null) {
        server.parameters = startupParameters;
        server.isSuspect = false;
        server.isTainted = false;
      }
      if (session.phase !== 'login') return;
      if (failure === null) {
        pool.knownReports.note(startupParameters, server.reported);
        becomeReady(session, server.reported);
        return;
      }
      session.send(asFatal(failure));
      sessionGone(session, 'start-up settings refused by the server', true);
    },
  });
}

/** A setting refused at start-up ends the connection, as on Postgres. */
function asFatal(frame: Uint8Array): Uint8Array {
  return buildErrorResponse({ ...parseErrorFields(frame, 5, frame.length), severity: 'FATAL' });
}

function becomeReady(session: Session, reported: ReadonlyMap<string, string>): void {
  if (!session.isSessionMode && makesTemp(session.parameters)) session.pins |= PIN_TEMP;
  session.requests = new RequestSink(session);
  session.stream.setSink(session.requests);
  session.tap = session.context.mirrors.tapFor(session);
  finishLogin(session, reported);
}

function finishLogin(session: Session, reported: ReadonlyMap<string, string>): void {
  const { context } = session;
  session.phase = 'ready';
  session.reported = reported;
  session.reportedAtLogin = reported;
  session.send(parameterStatuses(reported));
  if (session.router?.choice.isReplicaOnly === true) session.send(IN_HOT_STANDBY);
  if (session.secret !== null) {
    session.send(buildBackendKeyData(processIdOf(context.worker, session.slot), session.secret));
  }
  session.send(READY_FOR_QUERY_IDLE);
  if (context.config.general.logConnections) {
    context.log('info', 'client_connected', 'client connected', {
      user: session.user,
      database: session.database,
      addr: session.addr,
      port: session.port,
    });
  }
  session.resumeRequests();
}

/** What libpq's target_session_attrs goes by: this session's servers are replicas, all of them. */
const IN_HOT_STANDBY = buildParameterStatus('in_hot_standby', 'on');

/** Thousands of sessions are told the same few combinations: one block of bytes for each. */
const statusBlocks = new WeakMap<ReadonlyMap<string, string>, Uint8Array>();

function parameterStatuses(reported: ReadonlyMap<string, string>): Uint8Array {
  const known = statusBlocks.get(reported);
  if (known !== undefined) return known;
  const made = Buffer.concat([...reported].map(([name, value]) => buildParameterStatus(name, value)));
  statusBlocks.set(reported, made);
  return made;
}

/** Enough for drivers that read them at connect. */
const ADMIN_REPORTS: ReadonlyMap<string, string> = new Map([
  ['server_version', '18.0 (pgdog-cluster)'],
  ['server_encoding', 'UTF8'],
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO, MDY'],
  ['TimeZone', 'UTC'],
  ['integer_datetimes', 'on'],
  ['standard_conforming_strings', 'on'],
]);
