import { isDeepStrictEqual } from 'node:util';
import {
  BAN_CONNECT_FAILED,
  BAN_CONNECTION_LOST,
  BAN_PROBE_FAILED,
  BAN_SHUTTING_DOWN,
  type BanReason,
} from '@pgdog-cluster/core';
import { knock } from './knock.js';
import type { Measurement } from './measurement.js';
import { ProbeConnection, type ProbeTimeouts } from './probe-connection.js';
import type { ProbeLogin } from './probe-login.js';

export type CheckResult =
  | { kind: 'measured'; measurement: Measurement; tookMs: number }
  /** It answers, but not to us: it is well as far as can be seen. */
  | { kind: 'answered'; why: string; tookMs: number }
  | { kind: 'failed'; reason: BanReason; why: string };

/** How one host is reached. */
export interface ProbeTarget {
  port: number;
  /** Numeric, or paths of Unix sockets; tried one after another, check by check. Empty: the name does not resolve. */
  addresses: readonly string[];
  /** Empty: it is only knocked at. */
  logins: readonly ProbeLogin[];
  timeouts: ProbeTimeouts;
}

/** After every login was refused: how long it is only knocked at before they are tried again. */
const REFUSED_RETRY_MS = 30_000;
const SHUTTING_DOWN = new Set(['57P01', '57P02', '57P03']);
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
]);
const LOST_CODES = new Set(['ECONNRESET', 'EPIPE', 'closed']);

/** Checks one host: over its own connection, opened when there is none, or by knocking. One check at a time. */
export class Healthcheck {
  readonly #nowMs: () => number;
  readonly #onEnd: () => void;
  #target: ProbeTarget;
  #connection: ProbeConnection | null = null;
  #connecting: AbortController | null = null;
  #login = 0;
  #address = 0;
  #refusedMs = Number.NEGATIVE_INFINITY;
  #refusal = '';

  /** `onEnd`: its connection ended between two checks. */
  constructor(target: ProbeTarget, nowMs: () => number, onEnd: () => void) {
    this.#target = target;
    this.#nowMs = nowMs;
    this.#onEnd = onEnd;
  }

  /** Other addresses, passwords or limits: the next check opens a new connection, unless all are as they were. */
  takeUp(target: ProbeTarget): void {
    const isSame = isDeepStrictEqual(withoutFunctions(target), withoutFunctions(this.#target));
    this.#target = target;
    if (isSame) return;
    this.close();
    this.#login = 0;
    this.#refusedMs = Number.NEGATIVE_INFINITY;
  }

  /** Its name has other addresses. */
  moveTo(addresses: readonly string[]): void {
    const place = addresses.indexOf(this.#host);
    this.#target = { ...this.#target, addresses };
    this.#address = Math.max(0, place);
    if (place === -1) this.close();
  }

  close(): void {
    this.#connecting?.abort();
    this.#connection?.close();
    this.#connection = null;
  }

  /** Never rejects. */
  async check(): Promise<CheckResult> {
    if (this.#target.addresses.length === 0) {
      return { kind: 'failed', reason: BAN_CONNECT_FAILED, why: 'its name does not resolve' };
    }
    const isRefused = this.#nowMs() - this.#refusedMs < REFUSED_RETRY_MS;
    const result =
      this.#target.logins.length === 0 || isRefused ? await this.#knock() : await this.#measure();
    // Another address may lead to it; a host with one is simply tried again.
    if (result.kind === 'failed') this.#address++;
    return result;
  }

  get #host(): string {
    const { addresses } = this.#target;
    return addresses[this.#address % addresses.length];
  }

  async #knock(): Promise<CheckResult> {
    const startMs = this.#nowMs();
    const { port, timeouts, logins } = this.#target;
    const answer = await knock(this.#host, port, timeouts.connectMs);
    if (!answer.isAnswered) return failure(answer.code, answer.code);
    const why = logins.length === 0 ? 'nobody is known who could ask it' : this.#refusal;
    return { kind: 'answered', why, tookMs: this.#nowMs() - startMs };
  }

  async #measure(): Promise<CheckResult> {
    const { logins } = this.#target;
    for (let refusals = 0; refusals < logins.length; refusals++) {
      try {
        return await this.#measureNow(logins[this.#login % logins.length]);
      } catch (error) {
        this.close();
        const found = classify(error);
        if (found !== null) return found;
        this.#refusal = error instanceof Error ? error.message : String(error);
        this.#login++;
      }
    }
    this.#refusedMs = this.#nowMs();
    return this.#knock();
  }

  async #measureNow(login: ProbeLogin): Promise<CheckResult> {
    let connection = this.#connection;
    if (connection === null || !connection.isOpen) {
      connection = await this.#open(login);
      this.#connection = connection;
    }
    const measurement = await connection.measure();
    return { kind: 'measured', measurement, tookMs: measurement.answeredMs - measurement.askedMs };
  }

  async #open(login: ProbeLogin): Promise<ProbeConnection> {
    const { timeouts } = this.#target;
    const connecting = new AbortController();
    this.#connecting = connecting;
    const terms = { timeouts, nowMs: this.#nowMs, signal: connecting.signal };
    const opened = await ProbeConnection.open(this.#host, login, terms, () => this.#ended(opened));
    return opened;
  }

  #ended(connection: ProbeConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#onEnd();
  }
}

/** TLS holds functions, made anew each time; what they go by is in the rest. */
function withoutFunctions({ logins, ...rest }: ProbeTarget): unknown {
  const plain = logins.map(({ tls, ...login }) => [
    login,
    tls.isOptional,
    JSON.stringify(tls.ssl === false ? false : tls.ssl),
  ]);
  return [rest, plain];
}

/** Null: the server answered, and does not want this login. */
function classify(error: unknown): CheckResult | null {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // pg has words for these, and no codes.
  if (message.includes('timeout')) return failure('timeout', message);
  if (message.includes('terminated')) return failure('closed', message);
  if (SHUTTING_DOWN.has(code)) return { kind: 'failed', reason: BAN_SHUTTING_DOWN, why: message };
  const isOfConnection = CONNECTION_CODES.has(code) || LOST_CODES.has(code) || code === 'ETIMEDOUT';
  return isOfConnection ? failure(code, code) : null;
}

function failure(code: string, why: string): CheckResult {
  if (LOST_CODES.has(code)) return { kind: 'failed', reason: BAN_CONNECTION_LOST, why };
  const isTimeout = code === 'timeout' || code === 'ETIMEDOUT';
  const text = isTimeout ? 'no answer in time' : why;
  return { kind: 'failed', reason: isTimeout ? BAN_PROBE_FAILED : BAN_CONNECT_FAILED, why: text };
}
