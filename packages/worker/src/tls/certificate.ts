import { createHash, X509Certificate } from 'node:crypto';
import { viewOf } from '../io/libc.js';
import { alternativeNames } from './alternative-names.js';
import * as ssl from './openssl.js';
import type { PeerCertificate } from './tls-info.js';

/** Longest name shown; what is longer is cut. */
const NAME_BYTES_MAX = 1024;
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

/** A name in RFC 2253 form. */
function nameText(name: number, scratch: Scratch): string {
  const bio = ssl.BIO_new(ssl.BIO_s_mem());
  ssl.X509_NAME_print_ex(bio, name, 0, ssl.XN_FLAG_RFC2253);
  const length = ssl.BIO_read(bio, scratch.address + scratch.offset, NAME_BYTES_MAX);
  ssl.BIO_free(bio);
  return length > 0 ? textAt(scratch, scratch.offset, length) : '';
}

export function subjectOf(certificate: number, scratch: Scratch): string {
  return certificate === 0 ? '' : nameText(ssl.X509_get_subject_name(certificate), scratch);
}

/**
 * The last common name, which is the most specific one. Empty when there is none, or when it holds a NUL: names
 * that end early for some readers and not for others have let strangers in elsewhere.
 */
function commonName(certificate: number, scratch: Scratch): string {
  const name = ssl.X509_get_subject_name(certificate);
  let last = -1;
  for (let count = 0; count < 64; count++) {
    const next = ssl.X509_NAME_get_index_by_NID(name, ssl.NID_COMMON_NAME, last);
    if (next < 0) break;
    last = next;
  }
  if (last < 0) return '';
  const data = ssl.X509_NAME_ENTRY_get_data(ssl.X509_NAME_get_entry(name, last));
  const length = ssl.ASN1_STRING_to_UTF8(scratch.address + scratch.offset, data);
  if (length < 0) return '';
  const address = pointerAt(scratch);
  const text = length === 0 ? '' : Buffer.from(viewOf(address, length)).toString('utf8');
  ssl.CRYPTO_free(address, 0, 0);
  return text.includes('\0') ? '' : text;
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
      subject: nameText(ssl.X509_get_subject_name(certificate), scratch),
      alternatives: alternativeNames(subjectAltName ?? ''),
      issuer: nameText(ssl.X509_get_issuer_name(certificate), scratch),
      serial: BigInt(`0x${serialNumber}`).toString(),
      notAfterMs: Date.parse(validTo),
    };
  } catch {
    return null;
  }
}
