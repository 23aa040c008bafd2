/** The client's side of md5 and SCRAM-SHA-256 (RFC 5802, RFC 7677) for tests, apart from core's own. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const md5 = (...parts: (string | Buffer)[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};
const hmac = (key: Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/** Answer to AuthenticationMD5Password. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  return `md5${md5(md5(password, user), salt)}`;
}

/** One SCRAM exchange: `first` opens it, `final` answers the challenge, `isServerProof` checks the server. */
export class ScramClient {
  readonly first: string;
  #bare: string;
  #nonce = randomBytes(18).toString('base64');
  #serverSignature = '';

  constructor() {
    this.#bare = `n=,r=${this.#nonce}`;
    this.first = `n,,${this.#bare}`;
  }

  final(challenge: string, password: string): string {
    const fields = Object.fromEntries(challenge.split(',').map((part) => [part[0], part.slice(2)]));
    if (!(fields.r ?? '').startsWith(this.#nonce)) throw new Error('SCRAM: the server changed our nonce');
    const salted = pbkdf2Sync(
      password.normalize('NFKC'),
      Buffer.from(fields.s ?? '', 'base64'),
      Number(fields.i),
      32,
      'sha256',
    );
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const withoutProof = `c=biws,r=${fields.r}`;
    const authMessage = `${this.#bare},${challenge},${withoutProof}`;
    const signature = hmac(storedKey, authMessage);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage).toString('base64');
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  isServerProof(last: string): boolean {
    return last === `v=${this.#serverSignature}`;
  }
}
