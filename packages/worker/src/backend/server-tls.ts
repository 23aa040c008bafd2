import { buildSslRequest } from '@pgdog-cluster/core';
import type { Connection } from '../io/connection.js';
import type { TlsContext } from '../tls/tls-context.js';
import { TlsFilter, type TlsListener } from '../tls/tls-filter.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { TlsWorker } from '../tls/tls-worker.js';

const ANSWER_YES = 0x53;
const ANSWER_NO = 0x4e;
const ANSWER_ERROR = 0x45;

/** Whom it tells; each but the last at most once. */
export interface ServerTlsOwner {
  /** The start-up packet may leave: encrypted, or (null) in the clear because the server has no TLS and that will do. */
  tlsSettled(info: TlsInfo | null): void;
  /** No TLS, or no longer: the connection is to be closed. */
  tlsFailed(reason: string): void;
}

/** One TCP connection to a server on its way to TLS: the question, its one-byte answer, the handshake. */
export class ServerTls implements TlsListener {
  private readonly worker: TlsWorker;
  private readonly connection: Connection;
  private readonly context: TlsContext;
  private readonly host: string;
  private readonly port: number;
  private readonly owner: ServerTlsOwner;
  private filter: TlsFilter | null = null;
  private isAsking = false;

  constructor(
    worker: TlsWorker,
    connection: Connection,
    context: TlsContext,
    to: { host: string; port: number },
    owner: ServerTlsOwner,
  ) {
    this.worker = worker;
    this.connection = connection;
    this.context = context;
    this.host = to.host;
    this.port = to.port;
    this.owner = owner;
  }

  /** The socket is connected. */
  ask(): void {
    this.isAsking = true;
    const request = buildSslRequest();
    this.connection.sendBytes(request, 0, request.length);
  }

  /**
   * The server's answer, which is one byte and nothing behind it: bytes in the clear that were taken for the first
   * ones inside TLS would be somebody else's words.
   */
  receive(bytes: Uint8Array, start: number, end: number): void {
    const answer = bytes[start];
    if (this.isAsking && answer === ANSWER_ERROR) {
      // Who says it is not known yet, so what it says is not passed on.
      this.fail('the server answers the request for TLS with an error');
      return;
    }
    if (!this.isAsking || end - start > 1) {
      this.fail('the server sends more than its answer to the request for TLS');
      return;
    }
    this.isAsking = false;
    if (answer === ANSWER_YES) this.shakeHands();
    else if (answer !== ANSWER_NO) this.fail('the server answers the request for TLS with an unknown byte');
    else if (this.context.mode === 'prefer') this.owner.tlsSettled(null);
    else this.fail(`the server has no TLS, but tls_verify is "${this.context.mode}"`);
  }

  private shakeHands(): void {
    const peer = { context: this.context, isDirect: false, host: this.host, port: this.port };
    this.filter = new TlsFilter(this.worker, this.connection, peer, this);
    this.connection.startFilter(this.filter);
    this.filter.start();
  }

  handleTlsReady(info: TlsInfo): void {
    this.owner.tlsSettled(info);
  }

  handleTlsFailed(reason: string): void {
    this.fail(reason);
  }

  private fail(reason: string): void {
    this.owner.tlsFailed(`${this.host}:${this.port}: ${reason}`);
  }

  /** The server has answered inside TLS: what the next connection to it can resume has come. */
  keepSession(): void {
    this.filter?.keepSession();
  }
}
