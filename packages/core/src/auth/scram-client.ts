import { timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.js';
import { PgDogError } from '../base/errors.js';
import { cryptoRandom, type Random } from '../base/random.js';
import {
  decodeBase64,
  encodeBase64,
  hmacSha256,
  parseIterations,
  type ScramKeys,
  xorBytes,
} from './scram-keys.js';
import {
  attributeValue,
  CHANNEL_BINDING_TYPE,
  channelBindingAttribute,
  decodeScramText,
  encodeScramText,
  isNonce,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
  type ScramStep,
} from './scram-message.js';

/**
 * A server chooses how long a CPU of ours turns in PBKDF2: 100,000 take 20 ms, on a busy machine ten times
 * that, once per salt.
 */
export const SCRAM_ITERATIONS_MAX = 100_000;
const NONCE_BYTES_MAX = 1024;
const SALT_BYTES_MAX = 1024;
/** Nonce, salt in base64, iterations, and extensions which we have to read over. */
const MESSAGE_BYTES_MAX = 4096;
const CLIENT_NONCE_BYTES = 18;

export interface ScramClientOptions {
  /** What the server offers; SCRAM-SHA-256 or its PLUS form must be among it. */
  mechanisms: readonly string[];
  /** Hash of the server's certificate; null without TLS, or when the certificate has no usable one. */
  endPointHash?: Uint8Array | null;
  random?: Random;
}

/** What a server asks keys for. */
export interface ScramTerms {
  salt: Uint8Array;
  iterations: number;
}

/** `derive`: somebody has to find the keys for these terms and call handleKeys() with them. */
export type ScramClientStep = ScramStep<PgDogError> | ({ kind: 'derive' } & ScramTerms);
type Phase = 'initial' | 'serverFirst' | 'keys' | 'serverFinal' | 'over';

/**
 * Our side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS with a server (RFC 5802, 7677, 5929). It knows no password: keys
 * cost PBKDF2, which the caller does elsewhere, or come from a verifier and a client's proof.
 */
export class ScramClient {
  readonly mechanism: string;
  readonly #endPointHash: Uint8Array | null;
  readonly #header: string;
  readonly #nonce: string;
  #phase: Phase = 'initial';
  #serverFirst = '';
  #fullNonce = '';
  #serverSignature: Uint8Array = new Uint8Array(0);
  #isComplete = false;

  constructor({ mechanisms, endPointHash = null, random = cryptoRandom }: ScramClientOptions) {
    const isPlus = endPointHash !== null && mechanisms.includes(SCRAM_PLUS_MECHANISM);
    assert(isPlus || mechanisms.includes(SCRAM_MECHANISM), 'a mechanism we speak');
    this.mechanism = isPlus ? SCRAM_PLUS_MECHANISM : SCRAM_MECHANISM;
    this.#endPointHash = isPlus ? endPointHash : null;
    // "y": we could bind, and saw no offer. A server that made one knows then that it was taken away.
    const flag = isPlus ? `p=${CHANNEL_BINDING_TYPE}` : endPointHash !== null ? 'y' : 'n';
    this.#header = `${flag},,`;
    this.#nonce = encodeBase64(random.bytes(CLIENT_NONCE_BYTES));
  }

  /** Data of SASLInitialResponse. Postgres takes the user from the startup packet, so the name is empty. */
  start(): Uint8Array {
    this.#phase = 'serverFirst';
    return encodeScramText(`${this.#header}${this.#clientFirstBare()}`);
  }

  /** AuthenticationSASLContinue. Everything in it was chosen by the server and is bounded here. */
  handleContinue(data: Uint8Array): ScramClientStep {
    if (this.#phase !== 'serverFirst') return this.#fail('unexpected SASL message');
    const serverFirst = decodeScramText(data, MESSAGE_BYTES_MAX);
    if (serverFirst === null) return this.#fail('SCRAM message too long or not text');
    const [nonceAttribute, saltAttribute, iterationsAttribute] = serverFirst.split(',');
    const nonce = attributeValue(nonceAttribute, 'r');
    if (nonce === null || !isNonce(nonce) || nonce.length > NONCE_BYTES_MAX)
      return this.#fail('invalid SCRAM nonce');
    // Equal would mean that the server added nothing of its own.
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) return this.#fail('SCRAM nonce is not ours');
    const salt = decodeBase64(attributeValue(saltAttribute, 's') ?? '');
    if (salt === null || salt.length === 0 || salt.length > SALT_BYTES_MAX)
      return this.#fail('invalid SCRAM salt');
    const iterations = parseIterations(attributeValue(iterationsAttribute, 'i') ?? '');
    if (iterations === null || iterations > SCRAM_ITERATIONS_MAX) {
      return this.#fail(`SCRAM iteration count is not in 1..${SCRAM_ITERATIONS_MAX}`);
    }
    this.#serverFirst = serverFirst;
    this.#fullNonce = nonce;
    this.#phase = 'keys';
    return { kind: 'derive', salt, iterations };
  }

  /** Keys for the terms of the `derive` step; `continue` data goes into SASLResponse. */
  handleKeys(keys: ScramKeys): ScramClientStep {
    assert(this.#phase === 'keys', 'keys are wanted');
    const binding = channelBindingAttribute(this.#header, this.#endPointHash);
    const withoutProof = `c=${binding},r=${this.#fullNonce}`;
    const authMessage = `${this.#clientFirstBare()},${this.#serverFirst},${withoutProof}`;
    const proof = xorBytes(keys.clientKey, hmacSha256(keys.storedKey, authMessage));
    this.#serverSignature = hmacSha256(keys.serverKey, authMessage);
    this.#phase = 'serverFinal';
    return { kind: 'continue', data: encodeScramText(`${withoutProof},p=${encodeBase64(proof)}`) };
  }

  /**
   * AuthenticationSASLFinal: the server proves that it knows the password too. AuthenticationOk without it
   * comes from a server that does not: `isComplete` is false then, and the login must fail.
   */
  handleFinal(data: Uint8Array): ScramClientStep {
    if (this.#phase !== 'serverFinal') return this.#fail('unexpected SASL message');
    const text = decodeScramText(data, MESSAGE_BYTES_MAX);
    const [attribute] = (text ?? '').split(',');
    if (attribute.startsWith('e=')) return this.#fail('the server refused the proof');
    const signature = decodeBase64(attributeValue(attribute, 'v') ?? '');
    const isGenuine =
      signature?.length === this.#serverSignature.length && timingSafeEqual(signature, this.#serverSignature);
    if (!isGenuine) return this.#fail('the server does not know the password it asked for');
    this.#phase = 'over';
    this.#isComplete = true;
    return { kind: 'success', data: new Uint8Array(0) };
  }

  /** Has the server proven itself? */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** The texts of the server are not quoted: they may hold anything. */
  #fail(reason: string): ScramClientStep {
    this.#phase = 'over';
    return {
      kind: 'failure',
      error: new PgDogError('server_login_failed', `SCRAM with the server failed: ${reason}`),
    };
  }
}
