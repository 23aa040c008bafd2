import { timingSafeEqual } from 'node:crypto';
import { PgDogError } from '../base/errors.js';
import { cryptoRandom, type Random } from '../base/random.js';
import type { ScramKeyCache } from './scram-key-cache.js';
import {
  decodeBase64,
  deriveScramKeys,
  encodeBase64,
  hmacSha256,
  parseIterations,
  type ScramKeys,
  xorBytes,
} from './scram-keys.js';
import {
  attributeValue,
  decodeScramText,
  encodeScramText,
  isNonce,
  SCRAM_MECHANISM,
  type ScramStep,
} from './scram-message.js';

/**
 * A server chooses how long our CPU turns in PBKDF2: 100,000 block the worker for 20 ms, on a busy machine
 * for ten times that, once per salt.
 */
export const SCRAM_ITERATIONS_MAX = 100_000;
const NONCE_BYTES_MAX = 1024;
const SALT_BYTES_MAX = 1024;
/** Nonce, salt in base64, iterations, and extensions which we have to read over. */
const MESSAGE_BYTES_MAX = 4096;
const CLIENT_NONCE_BYTES = 18;

export interface ScramClientOptions {
  password: string;
  cache?: ScramKeyCache;
  random?: Random;
}

type Step = ScramStep<PgDogError>;
type Phase = 'initial' | 'serverFirst' | 'serverFinal' | 'over';

/** Our side of SCRAM-SHA-256 with a server (RFC 5802, 7677), without channel binding. */
export class ScramClient {
  readonly mechanism = SCRAM_MECHANISM;
  readonly #options: ScramClientOptions;
  readonly #nonce: string;
  #phase: Phase = 'initial';
  #serverSignature: Uint8Array = new Uint8Array(0);
  #isComplete = false;

  constructor(options: ScramClientOptions) {
    this.#options = options;
    this.#nonce = encodeBase64((options.random ?? cryptoRandom).bytes(CLIENT_NONCE_BYTES));
  }

  /** Data of SASLInitialResponse. Postgres takes the user from the startup packet, so the name is empty. */
  start(): Uint8Array {
    this.#phase = 'serverFirst';
    return encodeScramText(`n,,${this.#clientFirstBare()}`);
  }

  /** AuthenticationSASLContinue; `continue` data goes into SASLResponse. Blocks for PBKDF2 unless cached. */
  handleContinue(data: Uint8Array): Step {
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

    const keys = this.#keys(salt, iterations);
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `${this.#clientFirstBare()},${serverFirst},${withoutProof}`;
    const proof = xorBytes(keys.clientKey, hmacSha256(keys.storedKey, authMessage));
    this.#serverSignature = hmacSha256(keys.serverKey, authMessage);
    this.#phase = 'serverFinal';
    return { kind: 'continue', data: encodeScramText(`${withoutProof},p=${encodeBase64(proof)}`) };
  }

  /**
   * AuthenticationSASLFinal: the server proves that it knows the password too. AuthenticationOk without it
   * comes from a server that does not: `isComplete` is false then, and the login must fail.
   */
  handleFinal(data: Uint8Array): Step {
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

  #keys(salt: Uint8Array, iterations: number): ScramKeys {
    const { cache, password } = this.#options;
    return cache ? cache.keysFor(password, salt, iterations) : deriveScramKeys(password, salt, iterations);
  }

  /** The texts of the server are not quoted: they may hold anything. */
  #fail(reason: string): Step {
    this.#phase = 'over';
    return {
      kind: 'failure',
      error: new PgDogError('server_login_failed', `SCRAM with the server failed: ${reason}`),
    };
  }
}
