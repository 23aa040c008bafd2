/** A certificate of its own for a bench run, written byte by byte: every contender gets the same one. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);

function pem(label: string, bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('base64');
  const lines = text.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

const COMMON_NAME = Buffer.from([0x06, 3, 0x55, 0x04, 0x03]);
/** sha256WithRSAEncryption with its NULL; RSA, because that is what most servers have. */
const ALGORITHM = sequence(Buffer.from('06092a864886f70d01010b0500', 'hex'));

function time(years: number): Buffer {
  const date = new Date(Date.now() + years * 366 * 86_400_000);
  const digits = date.toISOString().replaceAll(/[-:T]/g, '');
  return der(0x18, Buffer.from(`${digits.slice(0, 14)}Z`));
}

export interface KeyPairPem {
  certificate: string;
  privateKey: string;
}

/** RSA 2048, for `localhost`, a year long. */
export function selfSigned(): KeyPairPem {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from('localhost')))));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([0x4d]), randomBytes(8)])),
    ALGORITHM,
    name,
    sequence(time(-1), time(1)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = sequence(body, ALGORITHM, der(0x03, Buffer.from([0]), signature));
  return {
    certificate: pem('CERTIFICATE', certificate),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
