import { rootCertificates } from 'node:tls';
import type { ClientTlsSnapshot, ServerTlsSnapshot, TlsMaterial, TlsTerms } from '@pgdog-cluster/core';
import { endPointHash, type Scratch } from './certificate.js';
import * as ssl from './openssl.js';
import { drainErrors } from './tls-error.js';

/** What Postgres 17 calls itself in the handshake. */
export const ALPN_PROTOCOL = 'postgresql';
const ALPN_LIST = new Uint8Array(Buffer.from(`${String.fromCharCode(ALPN_PROTOCOL.length)}${ALPN_PROTOCOL}`));

/** TLS 1.2 with forward secrecy only; authenticated ciphers first. */
const CIPHERS_DEFAULT =
  'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!eNULL:!MD5';
const VERSIONS = { 'TLSv1.2': ssl.TLS1_2_VERSION, 'TLSv1.3': ssl.TLS1_3_VERSION } as const;
/** Certificates of one PEM text. */
const CERTIFICATES_MAX = 2000;
/** Sessions kept for one context: distinct hosts behind one set of settings. */
const SESSIONS_MAX = 64;

/** The two callbacks into this thread that contexts need. */
export interface TlsCallbacks {
  readonly verify: bigint;
  readonly alpn: bigint;
}

/** Settings that cannot be made into a context. The text names the reason, never the key. */
export class TlsContextError extends Error {}

/** One SSL_CTX: what connections of one kind have in common. Freed by OpenSSL when the last of them is gone. */
export class TlsContext {
  readonly handle: number;
  readonly fingerprint: string;
  /** Towards clients we are the TLS server. */
  readonly isServer: boolean;
  readonly mode: ClientTlsSnapshot['mode'] | ServerTlsSnapshot['mode'];
  /** Of our own certificate towards clients, for channel binding. */
  endPointHash: Uint8Array | null = null;
  /** Towards servers: SSL_SESSION by host and port, each one reference. */
  private readonly sessions = new Map<string, number>();
  private isReplaced = false;

  constructor(settings: ClientTlsSnapshot | ServerTlsSnapshot, isServer: boolean) {
    this.fingerprint = settings.fingerprint;
    this.mode = settings.mode;
    this.isServer = isServer;
    this.handle = ssl.SSL_CTX_new(isServer ? ssl.TLS_server_method() : ssl.TLS_client_method());
    if (this.handle === 0) throw new TlsContextError(drainErrors());
  }

  get isVerifying(): boolean {
    return this.mode.startsWith('verify');
  }

  /** A session to resume towards `host`; 0 = none. The reference stays with the cache. */
  sessionFor(host: string): number {
    return this.sessions.get(host) ?? 0;
  }

  /** Remembers how to resume; the newest ticket counts. */
  keepSession(host: string, connection: number): void {
    if (this.isReplaced) return;
    const session = ssl.SSL_get1_session(connection);
    if (session === 0) return;
    if (ssl.SSL_SESSION_is_resumable(session) !== 1) {
      ssl.SSL_SESSION_free(session);
      return;
    }
    const old = this.sessions.get(host);
    if (old !== undefined) ssl.SSL_SESSION_free(old);
    else if (this.sessions.size >= SESSIONS_MAX) this.forgetSessions();
    this.sessions.set(host, session);
  }

  get sessionCount(): number {
    return this.sessions.size;
  }

  /** One more connection that needs it, now or when it begins its handshake. */
  retain(): void {
    ssl.SSL_CTX_up_ref(this.handle);
  }

  release(): void {
    ssl.SSL_CTX_free(this.handle);
  }

  /** Replaced, or the end: our own reference goes; connections keep theirs. */
  free(): void {
    this.isReplaced = true;
    this.forgetSessions();
    this.release();
  }

  private forgetSessions(): void {
    for (const session of this.sessions.values()) ssl.SSL_SESSION_free(session);
    this.sessions.clear();
  }
}

/** Throws TlsContextError. */
export function contextTowardsClients(
  settings: ClientTlsSnapshot,
  callbacks: TlsCallbacks,
  scratch: Scratch,
): TlsContext {
  return build(settings, true, (context) => {
    const { handle } = context;
    // No client library of Postgres resumes sessions, Postgres itself offers none, and with none each connect shows
    // its certificate anew. Early data cannot come without them; it is refused all the same.
    ssl.SSL_CTX_set_options(handle, ssl.SSL_OP_NO_TICKET + ssl.SSL_OP_CIPHER_SERVER_PREFERENCE);
    ssl.SSL_CTX_set_num_tickets(handle, 0);
    ssl.SSL_CTX_set_max_early_data(handle, 0);
    ssl.SSL_CTX_ctrl(handle, ssl.SSL_CTRL_SET_DH_AUTO, 1, 0);
    context.endPointHash = useCertificate(handle, settings, scratch);
    ssl.SSL_CTX_set_alpn_select_cb(handle, callbacks.alpn, 0);
    if (settings.ca === null) return;
    trust(handle, settings.ca, true);
    const must = context.isVerifying ? ssl.SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    ssl.SSL_CTX_set_verify(handle, ssl.SSL_VERIFY_PEER | must, callbacks.verify);
  });
}

/** Throws TlsContextError. */
export function contextTowardsServers(
  settings: ServerTlsSnapshot,
  callbacks: TlsCallbacks,
  scratch: Scratch,
): TlsContext {
  return build(settings, false, (context) => {
    const { handle } = context;
    if (settings.certificate !== null) useCertificate(handle, settings, scratch);
    check(ssl.SSL_CTX_set_alpn_protos(handle, ALPN_LIST, ALPN_LIST.length) === 0, 'ALPN');
    if (!context.isVerifying) return;
    trust(handle, settings.ca ?? rootCertificates.join('\n'), false);
    ssl.SSL_CTX_set_verify(handle, ssl.SSL_VERIFY_PEER, callbacks.verify);
  });
}

function build(
  settings: ClientTlsSnapshot | ServerTlsSnapshot,
  isServer: boolean,
  fill: (context: TlsContext) => void,
): TlsContext {
  ssl.ERR_clear_error();
  const context = new TlsContext(settings, isServer);
  try {
    setTerms(context.handle, settings.terms);
    fill(context);
    if (settings.crl !== null) revoke(context.handle, settings.crl);
    return context;
  } catch (error) {
    context.free();
    throw error;
  }
}

function check(isDone: boolean, what: string): void {
  if (!isDone) throw new TlsContextError(`${what}: ${drainErrors()}`);
}

function setTerms(ctx: number, terms: TlsTerms): void {
  const options = ssl.SSL_OP_NO_RENEGOTIATION + ssl.SSL_OP_NO_COMPRESSION;
  ssl.SSL_CTX_set_options(ctx, options);
  // Idle connections keep no record buffers, 33 KB each.
  ssl.SSL_CTX_ctrl(ctx, ssl.SSL_CTRL_MODE, ssl.SSL_MODE_AUTO_RETRY | ssl.SSL_MODE_RELEASE_BUFFERS, 0);
  ssl.SSL_CTX_ctrl(ctx, ssl.SSL_CTRL_SET_SESS_CACHE_MODE, ssl.SSL_SESS_CACHE_OFF, 0);
  const set = (command: number, value: number) => ssl.SSL_CTX_ctrl(ctx, command, value, 0) === 1;
  check(set(ssl.SSL_CTRL_SET_MIN_PROTO_VERSION, VERSIONS[terms.versionMin]), 'lowest TLS version');
  check(set(ssl.SSL_CTRL_SET_MAX_PROTO_VERSION, VERSIONS[terms.versionMax]), 'highest TLS version');
  check(ssl.SSL_CTX_set_cipher_list(ctx, terms.ciphers || CIPHERS_DEFAULT) === 1, 'ciphers');
  if (terms.cipherSuites !== '')
    check(ssl.SSL_CTX_set_ciphersuites(ctx, terms.cipherSuites) === 1, 'TLS 1.3 ciphers');
  if (terms.groups !== '')
    check(ssl.SSL_CTX_ctrlText(ctx, ssl.SSL_CTRL_SET_GROUPS_LIST, 0, terms.groups) === 1, 'groups');
}

/** Calls `use` for each object of a PEM text; it must free what it does not keep. Returns how many there were. */
function eachIn(
  pem: string,
  read: (bio: number) => number,
  use: (object: number, index: number) => void,
): number {
  const text = new Uint8Array(Buffer.from(pem));
  const bio = ssl.BIO_new_mem_text(text, text.length);
  let count = 0;
  try {
    for (let object = read(bio); object !== 0 && count < CERTIFICATES_MAX; object = read(bio))
      use(object, count++);
  } finally {
    ssl.BIO_free(bio);
    // The BIO read from it until here; a text that is not used any more would have been collected.
    text.fill(0);
    // The end of the text is an error too, and the only one where something was read before.
    if (count > 0) ssl.ERR_clear_error();
  }
  return count;
}

const readCertificate = (bio: number) => ssl.PEM_read_bio_X509(bio, 0, 0, 0);

/** Ours, with its chain and key. Returns the hash for channel binding. */
function useCertificate(ctx: number, settings: TlsMaterial, scratch: Scratch): Uint8Array | null {
  const { certificate = '', privateKey = '' } = settings;
  let hash: Uint8Array | null = null;
  const count = eachIn(certificate ?? '', readCertificate, (x509, index) => {
    if (index > 0) {
      // The context owns it from here on.
      check(ssl.SSL_CTX_ctrl(ctx, ssl.SSL_CTRL_CHAIN_CERT, 0, x509) === 1, 'certificate chain');
      return;
    }
    hash = endPointHash(x509, scratch);
    const isUsed = ssl.SSL_CTX_use_certificate(ctx, x509) === 1;
    ssl.X509_free(x509);
    check(isUsed, 'certificate');
  });
  check(count > 0, 'certificate');
  usePrivateKey(ctx, privateKey ?? '');
  return hash;
}

function usePrivateKey(ctx: number, pem: string): void {
  const text = new Uint8Array(Buffer.from(pem));
  const bio = ssl.BIO_new_mem_text(text, text.length);
  const key = ssl.PEM_read_bio_PrivateKey(bio, 0, 0, '');
  ssl.BIO_free(bio);
  // Not left lying about: the text from the snapshot has its own end, this copy has none.
  text.fill(0);
  check(key !== 0, 'private key');
  const isUsed = ssl.SSL_CTX_use_PrivateKey(ctx, key) === 1 && ssl.SSL_CTX_check_private_key(ctx) === 1;
  ssl.EVP_PKEY_free(key);
  check(isUsed, 'private key');
}

/** `isNamed`: peers are told whose certificates are asked for. */
function trust(ctx: number, pem: string, isNamed: boolean): void {
  const store = ssl.SSL_CTX_get_cert_store(ctx);
  const count = eachIn(pem, readCertificate, (x509) => {
    const isAdded = ssl.X509_STORE_add_cert(store, x509) === 1;
    const isTold = !isNamed || ssl.SSL_CTX_add_client_CA(ctx, x509) === 1;
    ssl.X509_free(x509);
    check(isAdded && isTold, 'CA certificate');
  });
  check(count > 0, 'CA certificate');
}

function revoke(ctx: number, pem: string): void {
  const store = ssl.SSL_CTX_get_cert_store(ctx);
  const count = eachIn(
    pem,
    (bio) => ssl.PEM_read_bio_X509_CRL(bio, 0, 0, 0),
    (crl) => {
      const isAdded = ssl.X509_STORE_add_crl(store, crl) === 1;
      ssl.X509_CRL_free(crl);
      check(isAdded, 'CRL');
    },
  );
  check(count > 0, 'CRL');
  ssl.X509_STORE_set_flags(store, ssl.X509_V_FLAG_CRL_CHECK | ssl.X509_V_FLAG_CRL_CHECK_ALL);
}
