import {
  AUTHENTICATION,
  BACKEND,
  BACKEND_ALLOWED,
  buildPasswordMessage,
  buildSaslInitialResponse,
  buildSaslResponse,
  buildStartupMessage,
  decodeText,
  type HostAddress,
  md5Hash,
  md5Response,
  PgDogError,
  parseAuthenticationRequest,
  parseBackendKeyData,
  parseErrorFields,
  parseParameterStatus,
  READY,
  SCRAM_MECHANISM,
  ScramClient,
  ScramKeyCache,
  serverName,
} from '@pgdog-cluster/core';
import { dedicatedRefused } from '../pool/dedicated.js';
import type { Pool } from '../pool/pool.js';
import { hasRoomFor } from '../pool/reported-parameters.js';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { openServerSocket } from './open-socket.js';
import { peerProblem } from './require-peer.js';
import { ServerConnection } from './server-connection.js';

const HEADER_BYTES = 5;
/** A demand, a challenge, its end and AuthenticationOk: no login takes more. */
const AUTHENTICATIONS_MAX = 4;

/** PBKDF2 is paid once for each (password, salt, iterations), not at each connect. */
const scramKeys = new ScramKeyCache();

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
  private scram: ScramClient | null = null;
  private isAuthenticated = false;
  private authentications = 0;

  constructor(server: ServerConnection) {
    this.server = server;
  }

  headBytes(type: number, frameBytes: number): number {
    const allowed = this.isAuthenticated ? BACKEND_ALLOWED.starting : BACKEND_ALLOWED.authenticating;
    return allowed.allows(type, frameBytes) ? frameBytes : -1;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number): number {
    const body = start + HEADER_BYTES;
    switch (type) {
      case BACKEND.Authentication:
        this.authentication(bytes, body, end);
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
    server.setSink(server.relay);
    server.pool.opening.succeeded(server);
  }

  private fail(error: PgDogError, isRefused = false): void {
    if (this.server.state === 'connecting') this.server.pool.opening.failed(this.server, error, isRefused);
  }

  private refused(bytes: Uint8Array, start: number, end: number): void {
    const fields = parseErrorFields(bytes, start, end);
    if (this.server.dedicatedTo !== null) {
      dedicatedRefused(this.server, fields);
      return;
    }
    // 57P03: starting up or shutting down; 53300: full. Both pass by themselves.
    const isPassing = fields.sqlstate === '57P03' || fields.sqlstate === '53300' || fields.sqlstate === '';
    const { snapshot } = this.server.pool;
    const text = `server ${serverName(snapshot)} refused the login of "${snapshot.serverUser}": ${fields.message}`;
    this.fail(new PgDogError(isPassing ? 'server_not_ready' : 'server_login_failed', text), !isPassing);
  }

  private authentication(bytes: Uint8Array, start: number, end: number): void {
    const request = parseAuthenticationRequest(bytes, start, end);
    this.authentications++;
    // Each demand is answered: without end they would fill our memory with answers.
    if (request === null || this.authentications > AUTHENTICATIONS_MAX) {
      this.onViolation('malformed authentication request');
      return;
    }
    const { server } = this;
    const [password] = server.pool.snapshot.serverPasswords;
    const { code } = request;
    if (code === AUTHENTICATION.Ok) {
      // A server that skips its own proof may not be the one that knows the password.
      if (this.scram !== null && !this.scram.isComplete)
        this.onViolation('authentication ended without proof');
      else this.isAuthenticated = true;
      return;
    }
    if (password === undefined) {
      this.fail(new PgDogError('server_login_failed', this.noPassword()), true);
      return;
    }
    if (code === AUTHENTICATION.CleartextPassword) server.send(buildPasswordMessage(password));
    else if (code === AUTHENTICATION.MD5Password) {
      const hash = md5Hash(password, server.pool.snapshot.serverUser);
      server.send(buildPasswordMessage(md5Response(hash, request.data)));
    } else this.sasl(code, request.data, request.mechanisms, password);
  }

  private noPassword(): string {
    const { snapshot } = this.server.pool;
    return `server ${serverName(snapshot)} asks for a password of "${snapshot.serverUser}", and none is configured`;
  }

  private sasl(code: number, data: Uint8Array, mechanisms: readonly string[], password: string): void {
    const { server } = this;
    if (code === AUTHENTICATION.SASL && this.scram === null && mechanisms.includes(SCRAM_MECHANISM)) {
      this.scram = new ScramClient({ password, cache: scramKeys });
      server.send(buildSaslInitialResponse(SCRAM_MECHANISM, this.scram.start()));
      return;
    }
    if (this.scram === null || (code !== AUTHENTICATION.SASLContinue && code !== AUTHENTICATION.SASLFinal)) {
      const text = `server asks for an authentication that is not supported (code ${code}: ${decodeText(data, 0, Math.min(64, data.length))})`;
      this.fail(new PgDogError('server_login_failed', text), true);
      return;
    }
    const step =
      code === AUTHENTICATION.SASLContinue ? this.scram.handleContinue(data) : this.scram.handleFinal(data);
    if (step.kind === 'failure') this.fail(step.error, true);
    else if (step.kind === 'continue') server.send(buildSaslResponse(step.data));
  }
}
