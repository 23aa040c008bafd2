import { timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';
import { cryptoRandom, type Random } from '../base/random.js';
import type { ScramVerifier } from '../config/snapshot.js';
import { SASL_MESSAGE_BYTES_MAX } from '../wire/authentication.js';
import { decodeBase64, encodeBase64, hmacSha256, SCRAM_KEY_BYTES, sha256, xorBytes } from './scram-keys.js';
import {
  attributeValue,
  CHANNEL_BINDING_TYPE,
  channelBindingAttribute,
  decodeScramText,
  encodeScramText,
  isAttribute,
  isNonce,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
  type ScramStep,
} from './scram-message.js';

const SERVER_NONCE_BYTES = 18;

export interface ScramServerOptions {
  /** For the error text only; the name inside the SCRAM message is ignored, as by Postgres. */
  user: string;
  /**
   * Accepted passwords. The exchange runs with the salt and iterations of the first; others count only when
   * they share them (see deriveVerifier). For an unknown user: one from mockVerifierFor.
   */
  verifiers: readonly ScramVerifier[];
  /** The user does not exist: same messages, same work, always wrong in the end. */
  isMock?: boolean;
  /** Hash of our certificate on this connection: SCRAM-SHA-256-PLUS was offered. Null: it was not. */
  endPointHash?: Uint8Array | null;
  random?: Random;
}

/** What a client has proven to know: enough to log in elsewhere in its name. */
export interface ProvenKeys {
  verifier: ScramVerifier;
  clientKey: Uint8Array;
}

type Step = ScramStep<PgDogError>;

/** How far the exchange is. Every message but the expected one ends it. */
type Phase = 'initial' | 'clientFirst' | 'clientFinal' | 'over';

/**
 * Our side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS with a client (RFC 5802, 7677, 5929).
 * `continue` data goes into AuthenticationSASLContinue, `success` data into AuthenticationSASLFinal.
 */
export class ScramServer {
  readonly #options: ScramServerOptions;
  #phase: Phase = 'initial';
  #clientFirstBare = '';
  #serverFirst = '';
  #nonce = '';
  /** Base64 of the client's gs2 header, which client-final has to repeat. */
  #channelBinding = '';
  #isPlus = false;
  #proven: ProvenKeys | null = null;

  constructor(options: ScramServerOptions) {
    assert(options.verifiers.length > 0, 'an exchange needs a verifier, if only a mock');
    this.#options = options;
  }

  /** Of a login that succeeded; null before. Private: it must not be printed by accident. */
  get proven(): ProvenKeys | null {
    return this.#proven;
  }

  /** SASLInitialResponse. Without data the client is first sent an empty challenge, as by Postgres. */
  handleInitialResponse(mechanism: string, data: Uint8Array | null): Step {
    if (this.#phase !== 'initial') return this.#fail('protocol_violation', 'unexpected SASL message');
    this.#isPlus = mechanism === SCRAM_PLUS_MECHANISM && this.#endPointHash !== null;
    if (mechanism !== SCRAM_MECHANISM && !this.#isPlus) {
      return this.#fail('protocol_violation', 'client selected an invalid SASL authentication mechanism');
    }
    this.#phase = 'clientFirst';
    if (data === null) return { kind: 'continue', data: new Uint8Array(0) };
    return this.handleResponse(data);
  }

  /** SASLResponse. */
  handleResponse(data: Uint8Array): Step {
    const text = decodeScramText(data, SASL_MESSAGE_BYTES_MAX);
    if (text === null) return this.#malformed('The message is too long or not text.');
    if (this.#phase === 'clientFirst') return this.#handleClientFirst(text);
    if (this.#phase === 'clientFinal') return this.#handleClientFinal(text);
    return this.#fail('protocol_violation', 'unexpected SASL message');
  }

  /** gs2-cbind-flag "," [authzid] "," ["m=…,"] "n=" user "," "r=" nonce ["," extensions] */
  #handleClientFirst(text: string): Step {
    const [flag, authorizationIdentity, userName, nonceAttribute, ...extensions] = text.split(',');
    const refusal = this.#refuseFlag(flag);
    if (refusal !== null) return refusal;
    if (authorizationIdentity?.startsWith('a=')) {
      const text = 'client uses authorization identity, but it is not supported';
      return this.#fail('unsupported_startup', text);
    }
    if (authorizationIdentity !== '') return this.#malformed('Unexpected attribute in the header.');
    if (attributeValue(userName, 'm') !== null) {
      return this.#fail('unsupported_startup', 'client requires an unsupported SCRAM extension');
    }
    const clientNonce = attributeValue(nonceAttribute, 'r');
    if (attributeValue(userName, 'n') === null || clientNonce === null) {
      return this.#malformed('User name or nonce expected.');
    }
    if (!isNonce(clientNonce)) return this.#malformed('Non-printable characters in SCRAM nonce.');
    if (!extensions.every(isAttribute)) return this.#malformed('Attribute expected.');

    const { salt, iterations } = this.#options.verifiers[0];
    const random = this.#options.random ?? cryptoRandom;
    this.#clientFirstBare = text.slice(flag.length + 2);
    this.#channelBinding = channelBindingAttribute(`${flag},,`, this.#isPlus ? this.#endPointHash : null);
    this.#nonce = clientNonce + encodeBase64(random.bytes(SERVER_NONCE_BYTES));
    this.#serverFirst = `r=${this.#nonce},s=${encodeBase64(salt)},i=${iterations}`;
    this.#phase = 'clientFinal';
    return { kind: 'continue', data: encodeScramText(this.#serverFirst) };
  }

  /**
   * The gs2 flag: `n` knows no binding, `y` knows it and believes that we do not, `p=` binds. A `y` although PLUS was
   * offered means that somebody between us took the offer away.
   */
  #refuseFlag(flag: string): Step | null {
    if (this.#isPlus) {
      if (flag === `p=${CHANNEL_BINDING_TYPE}`) return null;
      const detail = flag.startsWith('p=')
        ? `The only channel-binding type is ${CHANNEL_BINDING_TYPE}.`
        : 'The client chose SCRAM-SHA-256-PLUS without channel binding.';
      return this.#malformed(detail);
    }
    if (flag.startsWith('p=')) {
      return this.#malformed('The client binds to a channel, but did not choose SCRAM-SHA-256-PLUS.');
    }
    if (flag === 'y' && this.#endPointHash !== null) {
      return this.#fail(
        'channel_binding_failed',
        'SCRAM channel binding was taken out of the negotiation: it was offered, and the client did not see it',
      );
    }
    return flag === 'n' || flag === 'y' ? null : this.#malformed('Unexpected channel-binding flag.');
  }

  get #endPointHash(): Uint8Array | null {
    return this.#options.endPointHash ?? null;
  }

  /** "c=" binding "," "r=" nonce ["," extensions] "," "p=" proof */
  #handleClientFinal(text: string): Step {
    const attributes = text.split(',');
    const proofText = attributeValue(attributes.pop(), 'p');
    const [binding, nonceAttribute, ...extensions] = attributes;
    if (attributeValue(binding, 'c') !== this.#channelBinding) {
      if (this.#isPlus) return this.#fail('channel_binding_failed', 'SCRAM channel binding check failed');
      return this.#malformed('Unexpected SCRAM channel-binding attribute in client-final-message.');
    }
    if (attributeValue(nonceAttribute, 'r') !== this.#nonce) return this.#malformed('Nonce does not match.');
    if (!extensions.every(isAttribute)) return this.#malformed('Attribute expected.');
    const proof = proofText === null ? null : decodeBase64(proofText);
    if (proof?.length !== SCRAM_KEY_BYTES) return this.#malformed('Malformed proof in client-final-message.');

    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${attributes.join(',')}`;
    const proven = this.#matchingVerifier(proof, authMessage);
    if (proven === null || this.#options.isMock) {
      return this.#fail('wrong_password', `password authentication failed for user "${this.#options.user}"`);
    }
    this.#phase = 'over';
    this.#proven = proven;
    const signature = encodeBase64(hmacSha256(proven.verifier.serverKey, authMessage));
    return { kind: 'success', data: encodeScramText(`v=${signature}`) };
  }

  /** Tries each accepted password, also behind a match, so that the time does not tell which it was. */
  #matchingVerifier(proof: Uint8Array, authMessage: string): ProvenKeys | null {
    const [first] = this.#options.verifiers;
    let match: ProvenKeys | null = null;
    for (const verifier of this.#options.verifiers) {
      if (verifier.iterations !== first.iterations || !isSame(verifier.salt, first.salt)) continue;
      const clientKey = xorBytes(proof, hmacSha256(verifier.storedKey, authMessage));
      if (isSame(sha256(clientKey), verifier.storedKey)) match = { verifier, clientKey };
    }
    return match;
  }

  #malformed(detail: string): Step {
    this.#phase = 'over';
    return {
      kind: 'failure',
      error: new PgDogError('protocol_violation', 'malformed SCRAM message', { detail }),
    };
  }

  #fail(code: ConstructorParameters<typeof PgDogError>[0], message: string): Step {
    this.#phase = 'over';
    return { kind: 'failure', error: new PgDogError(code, message) };
  }
}

/** Constant time for equal lengths; lengths are no secret. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
