import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  AUTHENTICATION,
  buildAuthentication,
  md5Hash,
  parsePasswordMessage,
  type ScramVerifier,
  type UserSecrets,
} from '@pgdog-cluster/core';
import type { Session } from '../session.js';
import { type Exchange, type Proof, type Verdict, WAITING, WRONG } from './exchange.js';

/** Postgres's PG_MAX_AUTH_TOKEN_LENGTH, with the frame around it. */
export const PASSWORD_FRAME_BYTES_MAX = 65_535 + 6;
const NO_DATA = new Uint8Array(0);

/** The password itself. Compared as a hash, in whichever form it is known here. */
export class PlainExchange implements Exchange {
  readonly frameBytesMax = PASSWORD_FRAME_BYTES_MAX;
  private readonly session: Session;
  private readonly known: UserSecrets | null;
  private readonly onVerdict: (verdict: Verdict) => void;

  /** `onVerdict` is called when handle() has said `waiting`: a verifier costs PBKDF2. */
  constructor(session: Session, known: UserSecrets | null, onVerdict: (verdict: Verdict) => void) {
    this.session = session;
    this.known = known;
    this.onVerdict = onVerdict;
  }

  begin(): void {
    this.session.send(buildAuthentication(AUTHENTICATION.CleartextPassword, NO_DATA));
  }

  handle(bytes: Uint8Array, start: number, end: number): Verdict {
    const password = parsePasswordMessage(bytes, start, end);
    if (password === null || password === '') return WRONG;
    if (this.isTagged(password)) return accepted(password, null);
    const verifiers = this.known?.verifiers ?? [];
    if (verifiers.length === 0) return WRONG;
    // The verdict may come before this call ends, when the keys are known from an earlier login.
    this.tryVerifier(password, verifiers, 0);
    return WAITING;
  }

  /** All of them are tried, so that the time does not tell which one fitted. */
  private isTagged(password: string): boolean {
    const { tagSecret } = this.session.context.config;
    const tag = createHmac('sha256', tagSecret).update(password).digest();
    const hash = Buffer.from(md5Hash(password, this.session.user), 'latin1');
    let isMatch = false;
    for (const known of this.known?.passwordTags ?? []) {
      const isSame = known.length === tag.length && timingSafeEqual(known, tag);
      isMatch = isSame || isMatch;
    }
    for (const known of this.known?.md5Hashes ?? []) {
      const isSame = timingSafeEqual(Buffer.from(known, 'latin1'), hash);
      isMatch = isSame || isMatch;
    }
    return isMatch;
  }

  private tryVerifier(password: string, verifiers: readonly ScramVerifier[], index: number): void {
    const { session } = this;
    const { derivation } = session.context;
    if (index === verifiers.length) {
      this.onVerdict(WRONG);
      return;
    }
    const verifier = verifiers[index];
    const { salt, iterations, storedKey } = verifier;
    const known = derivation.known(password, salt, iterations);
    if (known !== undefined && timingSafeEqual(known.storedKey, storedKey)) {
      this.onVerdict(accepted(password, { keys: { verifier, clientKey: known.clientKey }, password }));
      return;
    }
    const isWanted = () => session.phase === 'authenticating';
    derivation.derive(password, salt, iterations, isWanted, (keys) => {
      if (!timingSafeEqual(keys.storedKey, storedKey)) {
        this.tryVerifier(password, verifiers, index + 1);
        return;
      }
      derivation.keep(password, salt, iterations, keys);
      this.onVerdict(accepted(password, { keys: { verifier, clientKey: keys.clientKey }, password }));
    });
  }
}

function accepted(password: string, proof: Proof | null): Verdict {
  return { kind: 'accepted', proof: proof ?? { keys: null, password } };
}
