import { randomBytes } from 'node:crypto';
import {
  AUTHENTICATION,
  AUTHENTICATION_OK,
  buildAuthentication,
  buildAuthenticationSasl,
  FRONTEND_ALLOWED,
  isMd5Response,
  mockVerifierFor,
  PgDogError,
  parsePasswordMessage,
  parseSaslInitialResponse,
  parseSaslResponse,
  SCRAM_MECHANISM,
  ScramServer,
} from '@pgdog-cluster/core';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { login } from './login.js';
import type { Session } from './session.js';

const HEADER_BYTES = 5;

/** Between the start-up packet and AuthenticationOk: only password messages may come, one for each demand. */
export class Authentication implements FrameSink {
  private readonly session: Session;
  private md5Salt: Uint8Array | null = null;
  private md5Hashes: readonly string[] = [];
  private scram: ScramServer | null = null;
  private isScramStarted = false;
  /** A demand is out and not answered yet. */
  private isAwaiting = false;

  constructor(session: Session) {
    this.session = session;
  }

  begin(): void {
    const { session } = this;
    const { config } = session.context;
    const known = session.isAdmin
      ? config.admin.user === session.user
        ? config.admin
        : null
      : (config.users.find(
          ({ name, databases }) =>
            name === session.user && (databases === null || databases.includes(session.database)),
        ) ?? null);
    session.context.countAuthAttempt(session);
    // The admin database is never open to whoever asks.
    const type = config.general.authType === 'trust' && session.isAdmin ? 'scram' : config.general.authType;
    if (type === 'trust') {
      if (known === null) this.refuse();
      else this.accept();
      return;
    }
    this.isAwaiting = true;
    if (type === 'md5') {
      // A user that does not exist is asked all the same, and no answer is right.
      this.md5Hashes = known?.md5Hashes ?? [];
      this.md5Salt = randomBytes(4);
      session.send(buildAuthentication(AUTHENTICATION.MD5Password, this.md5Salt));
      return;
    }
    const verifiers = known?.verifiers ?? [];
    const isMock = verifiers.length === 0;
    this.scram = new ScramServer({
      user: session.user,
      verifiers: isMock ? [mockVerifierFor(session.user, config.mockVerifier)] : verifiers,
      isMock,
    });
    session.send(buildAuthenticationSasl([SCRAM_MECHANISM]));
  }

  headBytes(type: number, frameBytes: number): number {
    const allowed = this.isAwaiting ? FRONTEND_ALLOWED.password : FRONTEND_ALLOWED.settling;
    return allowed.allows(type, frameBytes) ? frameBytes : -1;
  }

  onFrame(_type: number, bytes: Uint8Array, start: number, end: number): number {
    const body = start + HEADER_BYTES;
    this.isAwaiting = false;
    if (this.md5Salt !== null) this.md5(bytes, body, end);
    else this.sasl(bytes, body, end);
    return CONSUMED;
  }

  onRest(): void {}

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    this.session.fail(new PgDogError('protocol_violation', reason));
  }

  private md5(bytes: Uint8Array, start: number, end: number): void {
    const response = parsePasswordMessage(bytes, start, end);
    const { md5Salt } = this;
    if (response !== null && md5Salt !== null && isMd5Response(this.md5Hashes, md5Salt, response))
      this.accept();
    else this.refuse();
  }

  private sasl(bytes: Uint8Array, start: number, end: number): void {
    const { scram, session } = this;
    const step = scram === null ? null : this.saslStep(scram, bytes, start, end);
    if (step === null) {
      session.fail(new PgDogError('protocol_violation', 'malformed SASL message'));
    } else if (step.kind === 'failure') {
      if (step.error.code === 'wrong_password') this.refuse();
      else session.fail(step.error);
    } else if (step.kind === 'continue') {
      this.isAwaiting = true;
      session.send(buildAuthentication(AUTHENTICATION.SASLContinue, step.data));
    } else {
      session.send(buildAuthentication(AUTHENTICATION.SASLFinal, step.data));
      this.accept();
    }
  }

  private saslStep(scram: ScramServer, bytes: Uint8Array, start: number, end: number) {
    if (this.isScramStarted) {
      const data = parseSaslResponse(bytes, start, end);
      return data === null ? null : scram.handleResponse(data);
    }
    this.isScramStarted = true;
    const initial = parseSaslInitialResponse(bytes, start, end);
    return initial === null ? null : scram.handleInitialResponse(initial.mechanism, initial.data);
  }

  private accept(): void {
    this.session.send(AUTHENTICATION_OK);
    login(this.session);
  }

  /** One text for a wrong password and a user that does not exist. */
  private refuse(): void {
    const { user, context, addr } = this.session;
    context.log('warn', 'wrong_password', 'password authentication failed', { user, addr });
    this.session.fail(new PgDogError('wrong_password', `password authentication failed for user "${user}"`));
  }
}
