import {
  AUTHENTICATION,
  buildAuthentication,
  buildAuthenticationSasl,
  mockVerifierFor,
  offeredMechanisms,
  PgDogError,
  parseSaslInitialResponse,
  parseSaslResponse,
  ScramServer,
  type UserSecrets,
} from '@pgdog-cluster/core';
import type { Session } from '../session.js';
import { CONTINUE, type Exchange, type Verdict, WRONG } from './exchange.js';

/** A mechanism's name, a length and SASL_MESSAGE_BYTES_MAX; nothing longer is ever collected. */
const FRAME_BYTES_MAX = 2048;

/** The two offers there are: without TLS, and with the hash of a certificate to bind to. */
const OFFER = buildAuthenticationSasl(offeredMechanisms(false));
const PLUS_OFFER = buildAuthenticationSasl(offeredMechanisms(true));

/** SCRAM-SHA-256, with channel binding where the connection has TLS. */
export class SaslExchange implements Exchange {
  readonly frameBytesMax = FRAME_BYTES_MAX;
  private readonly session: Session;
  private readonly scram: ScramServer;
  private readonly endPointHash: Uint8Array | null;
  private isStarted = false;

  /** Without a verifier the same exchange runs, and no answer is right. `iterations`: how often, for a stranger. */
  constructor(session: Session, known: UserSecrets | null, iterations: number | null) {
    this.session = session;
    this.endPointHash = session.tls?.endPointHash ?? null;
    const verifiers = known?.verifiers ?? [];
    const isMock = verifiers.length === 0;
    const { mockVerifier } = session.context.config;
    const shown = iterations ?? mockVerifier.iterations;
    this.scram = new ScramServer({
      user: session.user,
      verifiers: isMock ? [mockVerifierFor(session.user, { ...mockVerifier, iterations: shown })] : verifiers,
      isMock,
      endPointHash: this.endPointHash,
    });
  }

  begin(): void {
    this.session.send(this.endPointHash === null ? OFFER : PLUS_OFFER);
  }

  handle(bytes: Uint8Array, start: number, end: number): Verdict {
    const step = this.step(bytes, start, end);
    if (step === null) {
      return { kind: 'failed', error: new PgDogError('protocol_violation', 'malformed SASL message') };
    }
    if (step.kind === 'failure') {
      return step.error.code === 'wrong_password' ? WRONG : { kind: 'failed', error: step.error };
    }
    if (step.kind === 'continue') {
      this.session.send(buildAuthentication(AUTHENTICATION.SASLContinue, step.data));
      return CONTINUE;
    }
    this.session.send(buildAuthentication(AUTHENTICATION.SASLFinal, step.data));
    return { kind: 'accepted', proof: { keys: this.scram.proven, password: null } };
  }

  private step(bytes: Uint8Array, start: number, end: number) {
    if (this.isStarted) {
      const data = parseSaslResponse(bytes, start, end);
      return data === null ? null : this.scram.handleResponse(data);
    }
    this.isStarted = true;
    const initial = parseSaslInitialResponse(bytes, start, end);
    return initial === null ? null : this.scram.handleInitialResponse(initial.mechanism, initial.data);
  }
}
