import {
  buildBackendKeyData,
  buildErrorResponse,
  buildNegotiateProtocolVersion,
  buildParameterStatus,
  PgDogError,
  PROTOCOL_MINOR_MAX,
  parseErrorFields,
  parseStartupOptions,
  parseStartupPacket,
  READY_FOR_QUERY_IDLE,
  SSL_REFUSED,
  STARTUP_PACKET_BYTES_MAX,
  type StartupMessage,
} from '@pgdog-cluster/core';
import { deliverCancel } from '../backend/cancel.js';
import type { ServerConnection } from '../backend/server-connection.js';
import type { WorkerContext } from '../worker-context.js';
import { AdminSink } from './admin-session.js';
import { Authentication } from './authenticate.js';
import { cancelSecret } from './cancel-secret.js';
import { sessionGone } from './close.js';
import { makeParameterSet, parameterFromValue, type SessionParameter } from './parameter-set.js';
import { RequestSink } from './requests.js';
import { Session } from './session.js';
import { ownerOfProcessId, processIdOf } from './session-table.js';

/** Start-up parameters that are not settings. */
const NOT_SETTINGS = new Set(['user', 'database', 'options', 'replication']);

/** A client's descriptor has been handed over: reads its first packets. Null when no slot is free. */
export function acceptSession(
  context: WorkerContext,
  fd: number,
  addr: string,
  port: number,
): Session | null {
  const session = context.sessions.add((slot, id) => new Session(context, fd, slot, id, addr, port));
  if (session === null) return null;
  const reader = new StartupReader(session);
  session.rawReader = (bytes, start, end) => reader.read(bytes, start, end);
  return session;
}

/** Collects the untyped first packets: encryption requests, then one StartupMessage or CancelRequest. */
class StartupReader {
  private readonly session: Session;
  private packet = new Uint8Array(0);
  private requestCount = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** Returns where the bytes behind the packet begin. */
  read(bytes: Uint8Array, start: number, end: number): number {
    // Bounded by parseStartupPacket, which judges the declared length before more is awaited.
    const size = Math.min(end - start, STARTUP_PACKET_BYTES_MAX - this.packet.length);
    const joined = new Uint8Array(this.packet.length + size);
    joined.set(this.packet);
    joined.set(bytes.subarray(start, start + size), this.packet.length);
    const packet = parseStartupPacket(joined, 0, joined.length);
    if (packet.kind === 'incomplete') {
      this.packet = joined;
      return end;
    }
    const { session } = this;
    if (packet.kind === 'refused') {
      if (packet.hasReply) session.fail(packet.error);
      else sessionGone(session, packet.error.message);
      return end;
    }
    const next = start + packet.packetBytes - this.packet.length;
    this.packet = new Uint8Array(0);
    if (packet.kind !== 'startup' && packet.kind !== 'cancel') return this.encryptionRequest(next, end);
    session.rawReader = null;
    if (packet.kind === 'cancel') {
      this.cancel(packet.pid, packet.secret);
      return end;
    }
    startSession(session, packet);
    return next;
  }

  /** Declined in the clear; bytes sent before the answer could be meant to cross the encryption switch. */
  private encryptionRequest(next: number, end: number): number {
    const { session } = this;
    this.requestCount++;
    if (next < end || this.requestCount > 2) {
      session.fail(
        new PgDogError('protocol_violation', 'received unencrypted data after an encryption request'),
      );
      return end;
    }
    session.send(SSL_REFUSED);
    return next;
  }

  /** The descriptor moves to the worker that has the session: it is closed once the cancel has been delivered. */
  private cancel(pid: number, secret: Uint8Array): void {
    const { session } = this;
    const { context } = session;
    const { worker, slot } = ownerOfProcessId(pid);
    if (worker === context.worker) {
      deliverCancel(context, slot, secret, () => sessionGone(session, 'cancel request'));
      return;
    }
    if (worker < 0 || worker >= context.memory.handles.dimensions.workers) {
      sessionGone(session, 'cancel request with an unknown key');
      return;
    }
    session.releaseForCancel(worker, slot, secret);
  }
}

function startSession(session: Session, message: StartupMessage): void {
  const { context } = session;
  session.user = message.user;
  session.database = message.database;
  session.phase = 'authenticating';
  if (message.minor > PROTOCOL_MINOR_MAX || message.minor === 1 || message.unsupportedOptions.length > 0) {
    const minor = Math.min(message.minor, PROTOCOL_MINOR_MAX);
    session.send(buildNegotiateProtocolVersion(minor === 1 ? 0 : minor, message.unsupportedOptions));
  }
  if (!context.memory.capacity.tryClaimClient(context.worker)) {
    const limit = context.memory.capacity.clientLimit();
    session.fail(
      new PgDogError('too_many_clients', `sorry, too many clients already (max_client_conn = ${limit})`),
    );
    return;
  }
  session.isClientCounted = true;
  session.isAdmin = context.config.admin.databases.includes(message.database);
  if (message.parameters.has('replication') && message.parameters.get('replication') !== 'false') {
    session.fail(
      new PgDogError(
        'unsupported_startup',
        'replication connections are not supported: connect to the server itself',
      ),
    );
    return;
  }
  const settings = readSettings(message);
  if (settings instanceof PgDogError) {
    session.fail(settings);
    return;
  }
  session.startupParameters = makeParameterSet(settings.values());
  session.parameters = session.startupParameters;
  // Protocol 3.2 made the secret longer; 3.0 has four bytes.
  session.secret = cancelSecret(message.minor >= 2 ? 32 : 4);
  const authentication = new Authentication(session);
  session.stream.setSink(authentication);
  authentication.begin();
}

/** Settings of the start-up packet and of its `options`; the former win, as in Postgres's process_settings. */
function readSettings(message: StartupMessage): Map<string, SessionParameter> | PgDogError {
  const settings = new Map<string, SessionParameter>();
  const options = message.parameters.get('options');
  if (options !== undefined) {
    const parsed = parseStartupOptions(options);
    if (parsed.error !== null) return parsed.error;
    for (const [name, value] of parsed.settings) {
      const parameter = parameterFromValue(name, value);
      settings.set(parameter.name, parameter);
    }
  }
  for (const [name, value] of message.parameters) {
    if (NOT_SETTINGS.has(name)) continue;
    const parameter = parameterFromValue(name, value);
    settings.set(parameter.name, parameter);
  }
  return settings;
}

/** Authentication has succeeded. */
export function login(session: Session): void {
  const { context } = session;
  session.phase = 'login';
  if (session.isAdmin) {
    session.stream.setSink(new AdminSink(session));
    finishLogin(session, ADMIN_REPORTS);
    return;
  }
  const snapshot = context.config.pools.find(
    (pool) => pool.database === session.database && pool.user === session.user,
  );
  if (snapshot === undefined) {
    session.fail(new PgDogError('unknown_database', `database "${session.database}" does not exist`));
    return;
  }
  const pool = context.poolFor(snapshot);
  session.pool = pool;
  session.isSessionMode = snapshot.poolerMode === 'session';
  const known = pool.reportsFor(session.startupParameters);
  if (known !== null) {
    becomeReady(session, known);
    return;
  }
  // Nobody has logged in with these settings yet: a server must accept them and tell what it reports.
  session.stream.block();
  session.onServer = (server) => validateSettings(session, server);
  pool.checkout(session);
  const { server } = session;
  if (server !== null) session.serverAssigned(server);
}

function validateSettings(session: Session, server: ServerConnection): void {
  const { pool, startupParameters } = session;
  if (pool === null) return;
  const sql = pool.settingsSql(server, startupParameters);
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
      }
      if (session.phase !== 'login') return;
      if (failure === null) {
        pool.noteReports(startupParameters, server.reported);
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
  session.requests = new RequestSink(session);
  session.stream.setSink(session.requests);
  finishLogin(session, reported);
}

function finishLogin(session: Session, reported: ReadonlyMap<string, string>): void {
  const { context } = session;
  session.phase = 'ready';
  session.reported = reported;
  session.reportedAtLogin = reported;
  session.send(parameterStatuses(reported));
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
