/**
 * Certificates for tests, written byte by byte: no program is needed, and a test can ask for what a careful one
 * would refuse to make (expired ones, wrong names, other people's signatures).
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export type KeyKind = 'ec' | 'rsa' | 'ed25519' | 'rsa-sha1' | 'rsa-sha512';

const SEQUENCE = 0x30;
const SET = 0x31;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size: number[] = [];
  for (let rest = body.length; rest > 0; rest >>= 8) size.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length, ...size]), body]);
}

const seq = (...parts: Uint8Array[]) => der(SEQUENCE, ...parts);
const boolean = (value: boolean) => der(0x01, Buffer.from([value ? 0xff : 0]));
const octets = (bytes: Uint8Array) => der(0x04, bytes);
const bits = (bytes: Uint8Array) => der(0x03, Buffer.from([0]), bytes);
const utf8 = (text: string) => der(0x0c, Buffer.from(text));
/** Explicit [n]. */
const tagged = (number: number, ...parts: Uint8Array[]) => der(0xa0 | number, ...parts);

function integer(bytes: Uint8Array): Buffer {
  const isNegative = (bytes[0] ?? 0) >= 0x80;
  return der(0x02, isNegative ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** GeneralizedTime would do for all, but X.509 wants UTCTime before 2050. */
function time(date: Date): Buffer {
  const text = `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

const NAME_OIDS: Record<string, string> = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11', C: '2.5.4.6' };

/** `[['O', 'Acme'], ['CN', 'host']]`. */
export type SubjectParts = [kind: 'CN' | 'O' | 'OU' | 'C', text: string][];

function name(parts: SubjectParts): Buffer {
  return seq(...parts.map(([kind, text]) => der(SET, seq(oid(NAME_OIDS[kind] ?? ''), utf8(text)))));
}

const SIGNATURES: Record<KeyKind, { oid: string; digest: string | null; hasNull: boolean }> = {
  ec: { oid: '1.2.840.10045.4.3.2', digest: 'sha256', hasNull: false },
  rsa: { oid: '1.2.840.113549.1.1.11', digest: 'sha256', hasNull: true },
  'rsa-sha1': { oid: '1.2.840.113549.1.1.5', digest: 'sha1', hasNull: true },
  'rsa-sha512': { oid: '1.2.840.113549.1.1.13', digest: 'sha512', hasNull: true },
  ed25519: { oid: '1.3.101.112', digest: null, hasNull: false },
};

function algorithm(kind: KeyKind): Buffer {
  const { oid: id, hasNull } = SIGNATURES[kind];
  return hasNull ? seq(oid(id), der(0x05)) : seq(oid(id));
}

function makeKeys(kind: KeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  if (kind === 'ec') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .replaceAll(/(.{64})/g, '$1\n');
  return `-----BEGIN ${label}-----\n${lines.trimEnd()}\n-----END ${label}-----\n`;
}

function address(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number));
  if (text !== '::1') throw new Error(`only ::1 is known here, not ${text}`);
  return Buffer.from([...new Array<number>(15).fill(0), 1]);
}

export interface CertificateOptions {
  subject?: SubjectParts;
  key?: KeyKind;
  /** DNS names. */
  names?: string[];
  uris?: string[];
  addresses?: string[];
  isAuthority?: boolean;
  /** Days from now. */
  fromDays?: number;
  toDays?: number;
}

/** A certificate with its key, able to sign others. */
export class TestCertificate {
  readonly subject: SubjectParts;
  readonly der: Buffer;
  readonly serial: Buffer = Buffer.concat([Buffer.from([0x4d]), randomBytes(8)]);
  readonly #kind: KeyKind;
  readonly #keys: { privateKey: KeyObject; publicKey: KeyObject };
  readonly #issuer: TestCertificate;

  constructor(options: CertificateOptions = {}, issuer: TestCertificate | null = null) {
    this.#kind = options.key ?? 'ec';
    this.#keys = makeKeys(this.#kind);
    this.#issuer = issuer ?? this;
    this.subject = options.subject ?? [['CN', 'test']];
    this.der = this.#issuer.#sign(this.#body(options));
  }

  get certificate(): string {
    return pem('CERTIFICATE', this.der);
  }

  get privateKey(): string {
    return this.#keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  encryptedKey(passphrase: string): string {
    const form = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
    return this.#keys.privateKey.export(form).toString();
  }

  issue(options: CertificateOptions = {}): TestCertificate {
    return new TestCertificate(options, this);
  }

  /** A revocation list of this authority. */
  revoke(...revoked: TestCertificate[]): string {
    const now = new Date(Date.now() - 60_000);
    const entries = revoked.map(({ serial }) => seq(integer(serial), time(now)));
    const body = seq(
      integer(Buffer.from([1])),
      algorithm(this.#kind),
      name(this.subject),
      time(now),
      time(new Date(Date.now() + 86_400_000)),
      ...(entries.length === 0 ? [] : [seq(...entries)]),
    );
    return pem('X509 CRL', this.#sign(body));
  }

  /** What `tls-server-end-point` must be for the given digest. */
  endPointHash(digest: string): Buffer {
    return createHash(digest).update(this.der).digest();
  }

  #sign(body: Buffer): Buffer {
    const { digest } = SIGNATURES[this.#kind];
    return seq(body, algorithm(this.#kind), bits(sign(digest, body, this.#keys.privateKey)));
  }

  #body(options: CertificateOptions): Buffer {
    const {
      names = [],
      uris = [],
      addresses = [],
      isAuthority = false,
      fromDays = -1,
      toDays = 30,
    } = options;
    const at = (days: number) => time(new Date(Date.now() + days * 86_400_000));
    const extensions: Buffer[] = [];
    if (isAuthority) {
      extensions.push(seq(oid('2.5.29.19'), boolean(true), octets(seq(boolean(true)))));
      // keyCertSign and cRLSign.
      extensions.push(seq(oid('2.5.29.15'), boolean(true), octets(der(0x03, Buffer.from([1, 0x06])))));
    }
    if (names.length + uris.length + addresses.length > 0) {
      const list = seq(
        ...names.map((text) => der(0x82, Buffer.from(text))),
        ...uris.map((text) => der(0x86, Buffer.from(text))),
        ...addresses.map((text) => der(0x87, address(text))),
      );
      extensions.push(seq(oid('2.5.29.17'), octets(list)));
    }
    return seq(
      tagged(0, integer(Buffer.from([2]))),
      integer(this.serial),
      algorithm(this.#issuer.#kind),
      name(this.#issuer.subject),
      seq(at(fromDays), at(toDays)),
      name(this.subject),
      this.#keys.publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [tagged(3, seq(...extensions))]),
    );
  }
}

export function testAuthority(commonName = 'test authority', key: KeyKind = 'ec'): TestCertificate {
  return new TestCertificate({ subject: [['CN', commonName]], isAuthority: true, key });
}
