import {
  AUTHENTICATION,
  type AuthenticationRequest,
  buildPasswordMessage,
  buildSaslInitialResponse,
  buildSaslResponse,
  decodeText,
  md5Hash,
  md5Response,
  PgDogError,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
  ScramClient,
  type ScramClientStep,
  type ScramTerms,
} from '@pgdog-cluster/core';
import type { ServerConnection } from './server-connection.js';

/** Shown of a method we do not know. */
const SHOWN_BYTES_MAX = 64;

export interface AuthenticationOutcome {
  /** AuthenticationOk, and whatever had to be proven before it was. */
  authenticated(): void;
  refused(error: PgDogError): void;
  violation(reason: string): void;
}

/** Shows a server who we are, in whatever way it asks for. */
export class LoginAuthentication {
  private readonly server: ServerConnection;
  private readonly outcome: AuthenticationOutcome;
  /** Which of the pool's passwords this connection tries. */
  readonly passwordNumber: number;
  private scram: ScramClient | null = null;
  /** A demand was answered: a second one is no part of the protocol. */
  private hasAnswered = false;

  constructor(server: ServerConnection, outcome: AuthenticationOutcome) {
    this.server = server;
    this.outcome = outcome;
    this.passwordNumber = server.pool.credentials.preferred;
  }

  handle(request: AuthenticationRequest): void {
    switch (request.code) {
      case AUTHENTICATION.Ok:
        // A server that skips its own proof may not be the one that knows the password.
        if (this.scram !== null && !this.scram.isComplete)
          this.outcome.violation('authentication ended without proof');
        else this.outcome.authenticated();
        return;
      case AUTHENTICATION.SASLContinue:
        this.step(this.scram?.handleContinue(request.data));
        return;
      case AUTHENTICATION.SASLFinal:
        this.step(this.scram?.handleFinal(request.data));
        return;
      default:
        this.demanded(request);
    }
  }

  /** The first demand, which is also the only one. */
  private demanded(request: AuthenticationRequest): void {
    if (this.hasAnswered) {
      this.outcome.violation('a second demand for authentication');
      return;
    }
    this.hasAnswered = true;
    switch (request.code) {
      case AUTHENTICATION.CleartextPassword:
        this.sendPassword(this.password);
        return;
      case AUTHENTICATION.MD5Password:
        this.sendPassword(this.md5Answer(request.data));
        return;
      case AUTHENTICATION.SASL:
        this.beginScram(request);
        return;
      default:
        this.refuseMethod(request);
    }
  }

  private get password(): string | null {
    return this.server.pool.credentials.password(this.passwordNumber);
  }

  private md5Answer(salt: Uint8Array): string | null {
    const { pool } = this.server;
    const { password } = this;
    const hash = password === null ? pool.credentials.md5Hash : md5Hash(password, pool.snapshot.serverUser);
    return hash === null ? null : md5Response(hash, salt);
  }

  private sendPassword(password: string | null): void {
    if (password === null) this.refuse(this.noPassword());
    else this.server.send(buildPasswordMessage(password));
  }

  private beginScram(request: AuthenticationRequest): void {
    const { mechanisms } = request;
    const { server } = this;
    const isSpoken = mechanisms.includes(SCRAM_MECHANISM) || mechanisms.includes(SCRAM_PLUS_MECHANISM);
    const endPointHash = server.tls?.endPointHash ?? null;
    if (!isSpoken || (!mechanisms.includes(SCRAM_MECHANISM) && endPointHash === null)) {
      this.refuseMethod(request);
      return;
    }
    this.scram = new ScramClient({ mechanisms, endPointHash });
    server.send(buildSaslInitialResponse(this.scram.mechanism, this.scram.start()));
  }

  private step(step: ScramClientStep | undefined): void {
    if (step === undefined) this.outcome.violation('an answer to a SASL exchange that was not begun');
    else if (step.kind === 'failure') this.outcome.refused(step.error);
    else if (step.kind === 'derive') this.findKeys(step);
    else if (step.kind === 'continue') this.server.send(buildSaslResponse(step.data));
  }

  /** Known keys at once; others are derived beside the loop, while the server waits. */
  private findKeys(terms: ScramTerms): void {
    const { server, password } = this;
    const { derivation } = server.context;
    const { salt, iterations } = terms;
    // They fit this very verifier, which a password (a former one, say) need not.
    const proven = server.pool.credentials.keysFor(terms);
    if (proven !== null) {
      this.step(this.scram?.handleKeys(proven));
      return;
    }
    if (password === null) {
      this.refuse(this.noKeys());
      return;
    }
    const known = derivation.known(password, salt, iterations);
    if (known !== undefined) {
      this.step(this.scram?.handleKeys(known));
      return;
    }
    const isWanted = () => server.state === 'connecting';
    derivation.derive(password, salt, iterations, isWanted, (keys) => {
      derivation.keep(password, salt, iterations, keys);
      this.step(this.scram?.handleKeys(keys));
    });
  }

  private refuse(text: string): void {
    this.outcome.refused(new PgDogError('server_login_failed', text));
  }

  private refuseMethod({ code, data }: AuthenticationRequest): void {
    const shown = decodeText(data, 0, Math.min(SHOWN_BYTES_MAX, data.length));
    this.refuse(`server asks for an authentication that is not supported (code ${code}: ${shown})`);
  }

  private noPassword(): string {
    const { serverUser, host, port } = this.server.pool.snapshot;
    return `server ${host}:${port} asks for a password of "${serverUser}", and none is configured`;
  }

  private noKeys(): string {
    const { serverUser, host, port, serverVerifiers } = this.server.pool.snapshot;
    if (serverVerifiers.length === 0) return this.noPassword();
    const why = this.server.pool.credentials.isWaitingForProof
      ? 'no client has logged in by SCRAM yet'
      : 'the server has another verifier';
    return `server ${host}:${port} asks for a password of "${serverUser}", of which only a verifier is known: ${why}`;
  }
}
