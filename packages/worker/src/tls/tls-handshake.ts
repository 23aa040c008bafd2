import { isIP } from 'node:net';
import { clientNameProblem, endPointHash, readPeer, serverNameProblem, subjectOf } from './certificate.js';
import * as ssl from './openssl.js';
import { ALPN_PROTOCOL, type TlsContext } from './tls-context.js';
import type { PeerCertificate, TlsInfo } from './tls-info.js';
import type { TlsWorker } from './tls-worker.js';

/** Who is at the other end, and by which rules. */
export interface TlsPeer {
  context: TlsContext;
  /** A client that began with TLS instead of asking first: it must name our protocol (as Postgres 17 wants it). */
  isDirect: boolean;
  /** Towards a server: what it is called in the configuration, and its port. Empty towards a client. */
  host: string;
  port: number;
}

function sessionKey({ host, port }: TlsPeer): string {
  return `${host}:${port}`;
}

/** A new SSL object, ready to shake hands; 0 when OpenSSL cannot make one. */
export function prepareHandshake(worker: TlsWorker, peer: TlsPeer): number {
  const { context, host } = peer;
  const { bios } = worker;
  const handle = ssl.SSL_new(context.handle);
  if (handle === 0) return 0;
  // SSL_free() gives one reference of each back.
  ssl.BIO_up_ref(bios.reading);
  ssl.BIO_up_ref(bios.writing);
  ssl.SSL_set_bio(handle, bios.reading, bios.writing);
  if (context.isServer) {
    ssl.SSL_set_accept_state(handle);
    return handle;
  }
  ssl.SSL_set_connect_state(handle);
  const isAddress = isIP(host) !== 0;
  // RFC 6066: names only.
  if (!isAddress) ssl.SSL_ctrlText(handle, ssl.SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, host);
  if (context.mode === 'verify_full' && !expectName(handle, host, isAddress)) {
    ssl.SSL_free(handle);
    return 0;
  }
  const session = context.sessionFor(sessionKey(peer));
  if (session !== 0) ssl.SSL_set_session(handle, session);
  return handle;
}

function expectName(handle: number, host: string, isAddress: boolean): boolean {
  const param = ssl.SSL_get0_param(handle);
  if (isAddress) return ssl.X509_VERIFY_PARAM_set1_ip_asc(param, host) === 1;
  ssl.X509_VERIFY_PARAM_set_hostflags(param, ssl.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return ssl.X509_VERIFY_PARAM_set1_host(param, host, 0) === 1;
}

/** What the handshake has settled; a text when it must not count after all. */
export function completeHandshake(worker: TlsWorker, peer: TlsPeer, handle: number): TlsInfo | string {
  const { context } = peer;
  if (peer.isDirect && !hasNamedProtocol(worker, handle))
    return `direct TLS without naming the protocol "${ALPN_PROTOCOL}" (ALPN)`;
  const certificate = ssl.SSL_get1_peer_certificate(handle);
  const isVerified = context.isServer || context.isVerifying;
  const { scratch } = worker;
  const shown = certificate === 0 || !isVerified ? null : readPeer(certificate, scratch);
  const problem = isVerified ? nameProblem(worker, peer, certificate, shown) : '';
  const info: TlsInfo = {
    version: ssl.SSL_get_version(handle) ?? '',
    cipher: ssl.SSL_CIPHER_get_name(ssl.SSL_get_current_cipher(handle)) ?? '',
    endPointHash: context.isServer
      ? context.endPointHash
      : certificate === 0
        ? null
        : endPointHash(certificate, scratch),
    peer: shown,
  };
  const subject = problem === '' ? '' : subjectOf(certificate, scratch);
  if (certificate !== 0) ssl.X509_free(certificate);
  return problem === '' ? info : `certificate "${subject}" refused: ${problem}`;
}

function nameProblem(
  { scratch }: TlsWorker,
  { context, host }: TlsPeer,
  certificate: number,
  shown: PeerCertificate | null,
): string {
  if (context.isServer) return shown === null ? '' : clientNameProblem(shown);
  if (context.mode !== 'verify_full' || isIP(host) !== 0) return '';
  return shown === null ? 'it cannot be read' : serverNameProblem(certificate, shown, host, scratch);
}

function hasNamedProtocol({ scratch }: TlsWorker, handle: number): boolean {
  const address = scratch.address + scratch.offset;
  ssl.SSL_get0_alpn_selected(handle, address, address + 8);
  // onAlpn() selects nothing else.
  return scratch.view.getUint32(scratch.offset + 8, true) === ALPN_PROTOCOL.length;
}

/** Keeps what a later connect to the same server can resume. When its first answer has come, so have its tickets. */
export function keepSession(peer: TlsPeer, handle: number): void {
  if (handle !== 0) peer.context.keepSession(sessionKey(peer), handle);
}

/** Which name, which certificate, which rule. */
export function describeFailure(worker: TlsWorker, peer: TlsPeer, reason: string): string {
  const failure = worker.verifyFailure;
  if (failure === null) return reason;
  const { subject, depth, rule, code } = failure;
  const which = depth === 0 ? 'certificate' : `certificate above it (level ${depth})`;
  const wanted = peer.context.mode === 'verify_full' ? `, wanted for "${peer.host}"` : '';
  return `${which} "${subject}" refused${wanted}: ${rule} (${code})`;
}

/** Subject of the certificate that the other end has shown, verified or not; '' = none. */
export function shownSubject(worker: TlsWorker, handle: number): string {
  const certificate = handle === 0 ? 0 : ssl.SSL_get1_peer_certificate(handle);
  if (certificate === 0) return '';
  const subject = subjectOf(certificate, worker.scratch);
  ssl.X509_free(certificate);
  return subject;
}
