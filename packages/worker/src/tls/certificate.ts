import { createHash, X509Certificate } from 'node:crypto';
import { viewOf } from '../io/libc.js';
import { alternativeNames, hasDnsName, hasZeroByte } from './alternative-names.js';
import * as ssl from './openssl.js';
import type { PeerCertificate } from './tls-info.js';

/** Longest name shown; what is longer is cut. */
const NAME_BYTES_MAX = 1024;
/** Longest subject that is compared with a user's. */
const COMPARED_BYTES_MAX = 8 * 1024;
const POINTER_BYTES = 16;
/** RFC 5929: a certificate signed with one of these is hashed with SHA-256. */
const WEAK_DIGESTS = ['MD5', 'SHA1'];

/** Kernel memory for results by address: `offset` in `bytes`, at least 16 KB. Valid until the next call. */
export interface Scratch {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
}

function pointerAt({ view, offset }: Scratch): number {
  return Number(view.getBigUint64(offset, true));
}

function textAt({ bytes }: Scratch, start: number, length: number): string {
  return Buffer.from(bytes.subarray(start, start + length)).toString('utf8');
}

/** A name in RFC 2253 form, cut to `bytesMax`; NULs are escaped in it. */
function nameText(name: number, scratch: Scratch, bytesMax = NAME_BYTES_MAX): string {
  const bio = ssl.BIO_new(ssl.BIO_s_mem());
  ssl.X509_NAME_print_ex(bio, name, 0, ssl.XN_FLAG_RFC2253);
  const length = ssl.BIO_read(bio, scratch.address + scratch.offset, bytesMax);
  ssl.BIO_free(bio);
  return length > 0 ? textAt(scratch, scratch.offset, length) : '';
}

/** The subject where it is compared: one that is cut would be another's. '' when it is too long. */
function wholeSubject(certificate: number, scratch: Scratch): string {
  const name = ssl.X509_get_subject_name(certificate);
  const text = nameText(name, scratch, COMPARED_BYTES_MAX + 1);
  return Buffer.byteLength(text) > COMPARED_BYTES_MAX ? '' : text;
}

export function subjectOf(certificate: number, scratch: Scratch): string {
  return certificate === 0 ? '' : nameText(ssl.X509_get_subject_name(certificate), scratch);
}

/** The first common name, as Postgres and libpq have it (X509_NAME_get_text_by_NID); it may hold a NUL. Empty: there is none. */
function commonName(certificate: number, scratch: Scratch): string {
  const name = ssl.X509_get_subject_name(certificate);
  const first = ssl.X509_NAME_get_index_by_NID(name, ssl.NID_COMMON_NAME, -1);
  if (first < 0) return '';
  const data = ssl.X509_NAME_ENTRY_get_data(ssl.X509_NAME_get_entry(name, first));
  const length = ssl.ASN1_STRING_to_UTF8(scratch.address + scratch.offset, data);
  if (length < 0) return '';
  const address = pointerAt(scratch);
  const text = length === 0 ? '' : Buffer.from(viewOf(address, length)).toString('utf8');
  ssl.CRYPTO_free(address, 0, 0);
  return text;
}

function hasSecondCommonName(certificate: number): boolean {
  const name = ssl.X509_get_subject_name(certificate);
  const first = ssl.X509_NAME_get_index_by_NID(name, ssl.NID_COMMON_NAME, -1);
  return first >= 0 && ssl.X509_NAME_get_index_by_NID(name, ssl.NID_COMMON_NAME, first) >= 0;
}

/** The certificate's DER; null when it is longer than anything we take. */
function derOf(certificate: number, scratch: Scratch): Uint8Array | null {
  const { view, bytes, address } = scratch;
  const length = ssl.i2d_X509(certificate, 0);
  if (length <= 0 || length > 16 * 1024 - POINTER_BYTES) return null;
  const start = scratch.offset + POINTER_BYTES;
  // i2d writes through the pointer it is given the address of, and moves it.
  view.setBigUint64(scratch.offset, BigInt(address + start), true);
  ssl.i2d_X509(certificate, address + scratch.offset);
  return bytes.slice(start, start + length);
}

/** `tls-server-end-point` of RFC 5929. Null where the signature has no digest of its own (Ed25519). */
export function endPointHash(certificate: number, scratch: Scratch): Uint8Array | null {
  const der = derOf(certificate, scratch);
  if (der === null) return null;
  if (ssl.X509_get_signature_info(certificate, scratch.address + scratch.offset, 0, 0, 0) !== 1) return null;
  const digest = ssl.OBJ_nid2sn(scratch.view.getInt32(scratch.offset, true));
  if (digest === null || digest === 'UNDEF') return null;
  try {
    const name = WEAK_DIGESTS.includes(digest) ? 'SHA256' : digest;
    return new Uint8Array(createHash(name).update(der).digest());
  } catch {
    return null;
  }
}

/** Null for one that cannot be read. */
export function readPeer(certificate: number, scratch: Scratch): PeerCertificate | null {
  const der = derOf(certificate, scratch);
  if (der === null) return null;
  try {
    const { serialNumber, validTo, subjectAltName } = new X509Certificate(der);
    return {
      commonName: commonName(certificate, scratch),
      subject: wholeSubject(certificate, scratch),
      alternatives: alternativeNames(subjectAltName ?? ''),
      issuer: nameText(ssl.X509_get_issuer_name(certificate), scratch),
      serial: BigInt(`0x${serialNumber}`).toString(),
      notAfterMs: Date.parse(validTo),
    };
  } catch {
    return null;
  }
}

/** Why a verified client's certificate must not count all the same; '' when it may. Postgres refuses it, however the client logs in. */
export function clientNameProblem({ commonName: name }: PeerCertificate): string {
  return name.includes('\0') ? "the certificate's common name holds a zero byte" : '';
}

/**
 * The same of a server's that must be called `host`, which OpenSSL has found in it. Names that hold a NUL end early for some readers
 * and not for others, which has let strangers in elsewhere.
 */
export function serverNameProblem(
  certificate: number,
  peer: PeerCertificate,
  host: string,
  scratch: Scratch,
): string {
  const names = new X509Certificate(derOf(certificate, scratch) ?? '').subjectAltName ?? '';
  if (hasZeroByte(names)) return "a name beside the certificate's subject holds a zero byte";
  // OpenSSL takes any of several common names; libpq the first, and where there are DNS names none.
  if (hasDnsName(names) || !hasSecondCommonName(certificate) || fits(peer.commonName, host)) return '';
  return `the certificate's first common name "${peer.commonName}" is not "${host}"`;
}

/** A leading `*.` stands for one label. */
function fits(pattern: string, host: string): boolean {
  const [name, wanted] = [pattern.toLowerCase(), host.toLowerCase()];
  if (name === wanted) return true;
  const dot = wanted.indexOf('.');
  return name.startsWith('*.') && dot > 0 && wanted.slice(dot) === name.slice(1);
}
