import {
  BACKEND,
  BACKEND_ALLOWED,
  buildStartupMessage,
  type HostAddress,
  PgDogError,
  parseAuthenticationRequest,
  parseBackendKeyData,
  parseErrorFields,
  parseParameterStatus,
  READY,
  serverName,
} from '@pgdog-cluster/core';
import { dedicatedRefused } from '../pool/dedicated.js';
import type { Pool } from '../pool/pool.js';
import { hasRoomFor } from '../pool/reported-parameters.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { LoginAuthentication } from './login-authentication.js';
import { openServerSocket } from './open-socket.js';
import { peerProblem } from './require-peer.js';
import { ServerConnection } from './server-connection.js';
import { ServerTls } from './server-tls.js';

const HEADER_BYTES = 5;
/** A demand, a challenge, its end and AuthenticationOk: no login takes more. */
const AUTHENTICATIONS_MAX = 4;
/** SQLSTATE invalid_password. */
const WRONG_PASSWORD = '28P01';
/** invalid_catalog_name. */
const NO_DATABASE = '3D000';
/**
 * Classes of errors at a login that say nothing about who logs in, and pass by themselves: connection exceptions, lack
 * of resources (too many clients), intervention by an operator (terminated, a crash of another process, starting up).
 * The empty one is of an error without a code. Source: Postgres, appendix A.
 */
const PASSING_CLASSES: ReadonlySet<string> = new Set(['', '08', '53', '57']);

/** Starts a connect with login; null when no descriptor is to be had. Capacity has been claimed. */
export function openServer(pool: Pool, address: HostAddress): ServerConnection | null {
  const { context } = pool;
  const fd = openServerSocket(address, context.config.tcp);
  if (fd < 0) return null;
  context.memory.fds.setOwner(fd, context.worker);
  const server = new ServerConnection(context, pool, fd);
  server.setSink(new Login(server));
  server.connection.connect(address.sockaddr);
  return server;
}

/** connect(2) has ended: says who we are, or gives up. */
export function loginConnected(server: ServerConnection, errno: number): void {
  if (server.state !== 'connecting') return;
  const { pool } = server;
  const { snapshot } = pool;
  if (errno !== 0) {
    const text = `cannot connect to ${serverName(snapshot)}: ${describeErrno(errno)}`;
    pool.opening.failed(server, new PgDogError('server_unreachable', text));
    return;
  }
  const problem = peerProblem(server.connection.fd, snapshot);
  if (problem !== null) {
    const text = `server ${serverName(snapshot)} is not to be trusted: ${problem}`;
    pool.opening.failed(server, new PgDogError('server_login_failed', text), true);
    return;
  }
  if (snapshot.tls < 0) {
    sendStartup(server);
    return;
  }
  const { tls } = pool.context;
  const context = tls.contextOf(snapshot.tls);
  if (context === null) {
    pool.opening.failed(server, new PgDogError('server_tls_failed'), true);
    return;
  }
  server.tlsUpgrade = new ServerTls(tls, server.connection, context, snapshot, server);
  server.tlsUpgrade.ask();
}

/** Whether the connection is encrypted has been settled: says who we are. */
export function loginSettled(server: ServerConnection, info: TlsInfo | null): void {
  server.tls = info;
  server.tlsLogin = info === null ? null : server.tlsUpgrade;
  server.tlsUpgrade = null;
  sendStartup(server);
}

function sendStartup(server: ServerConnection): void {
  const { snapshot } = server.pool;
  server.send(
    buildStartupMessage([
      ['user', snapshot.serverUser],
      ['database', snapshot.serverDatabase],
      ...Object.entries({
        ...snapshot.serverParameters,
        ...Object.fromEntries(server.dedicatedTo?.dedicatedParameters ?? []),
      }),
    ]),
  );
}

function describeErrno(errno: number): string {
  switch (errno) {
    case 2:
      return 'No such file or directory';
    case 11:
      return 'The queue of connections is full';
    case 13:
      return 'Permission denied';
    case 111:
      return 'Connection refused';
    case 110:
      return 'Connection timed out';
    case 113:
      return 'No route to host';
    case 101:
      return 'Network is unreachable';
    default:
      return `errno ${errno}`;
  }
}

/** From the start-up packet to the first ReadyForQuery. */
class Login implements FrameSink {
  private readonly server: ServerConnection;
  private readonly reported = new Map<string, string>();
  private authentications = 0;
  private readonly authentication: LoginAuthentication;
  private isAuthenticated = false;

  constructor(server: ServerConnection) {
    this.server = server;
    this.authentication = new LoginAuthentication(server, {
      authenticated: () => {
        this.isAuthenticated = true;
      },
      refused: (error) => this.fail(error, true),
      violation: (reason) => this.onViolation(reason),
    });
  }

  headBytes(type: number, frameBytes: number): number {
    const allowed = this.isAuthenticated ? BACKEND_ALLOWED.starting : BACKEND_ALLOWED.authenticating;
    return allowed.allows(type, frameBytes) ? frameBytes : -1;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number): number {
    const body = start + HEADER_BYTES;
    switch (type) {
      case BACKEND.Authentication:
        this.asked(bytes, body, end);
        break;
      case BACKEND.ParameterStatus: {
        const status = parseParameterStatus(bytes, body, end);
        if (status === null) this.onViolation('malformed ParameterStatus');
        else if (!hasRoomFor(this.reported, status.name)) this.onViolation('too many parameters reported');
        else this.reported.set(status.name, status.value);
        break;
      }
      case BACKEND.BackendKeyData: {
        const key = parseBackendKeyData(bytes, body, end);
        if (key !== null) {
          this.server.remotePid = key.pid;
          this.server.secret = key.secret;
        }
        break;
      }
      case BACKEND.ErrorResponse:
        this.refused(bytes, body, end);
        break;
      case BACKEND.ReadyForQuery:
        this.ready(bytes[body]);
        break;
      default:
    }
    return CONSUMED;
  }

  onRest(): void {}

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    const name = serverName(this.server.pool.snapshot);
    this.fail(new PgDogError('server_protocol', `${name} does not speak Postgres's protocol: ${reason}`));
  }

  private ready(status: number): void {
    const { server } = this;
    if (status !== READY.Idle) {
      this.onViolation('a new connection that is not idle');
      return;
    }
    server.reported = server.pool.reported.intern(this.reported);
    server.pool.credentials.worked(this.authentication.passwordNumber);
    server.setSink(server.relay);
    server.tlsLogin?.keepSession();
    server.tlsLogin = null;
    server.pool.opening.succeeded(server);
  }

  private fail(error: PgDogError, isRefused = false): void {
    if (this.server.state === 'connecting') this.server.pool.opening.failed(this.server, error, isRefused);
  }

  private refused(bytes: Uint8Array, start: number, end: number): void {
    const fields = parseErrorFields(bytes, start, end);
    const isPassing = PASSING_CLASSES.has(fields.sqlstate.slice(0, 2));
    const { snapshot, credentials, opening } = this.server.pool;
    if (fields.sqlstate === WRONG_PASSWORD && credentials.tryNext(this.authentication.passwordNumber)) {
      opening.passwordRefused(this.server);
      return;
    }
    const isMissing = snapshot.isTenant === true && fields.sqlstate === NO_DATABASE;
    if (isMissing) this.server.context.tell({ type: 'tenantMissing', database: snapshot.database });
    if (this.server.dedicatedTo !== null) {
      dedicatedRefused(this.server, fields);
      return;
    }
    if (isMissing && this.server.state === 'connecting') {
      opening.databaseMissing(this.server, new PgDogError('unknown_database', fields.message, { hint: '' }));
      return;
    }
    const text = `server ${serverName(snapshot)} refused the login of "${snapshot.serverUser}": ${fields.message}`;
    this.fail(new PgDogError(isPassing ? 'server_not_ready' : 'server_login_failed', text), !isPassing);
  }

  private asked(bytes: Uint8Array, start: number, end: number): void {
    const request = parseAuthenticationRequest(bytes, start, end);
    this.authentications++;
    // Each demand is answered: without end they would fill our memory with answers.
    if (request === null || this.authentications > AUTHENTICATIONS_MAX)
      this.onViolation('malformed authentication request');
    else this.authentication.handle(request);
  }
}
