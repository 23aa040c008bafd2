import {
  AUTHENTICATION,
  buildAuthentication,
  cryptoRandom,
  isMd5Response,
  MD5_SALT_BYTES,
  parsePasswordMessage,
} from '@pgdog-cluster/core';
import type { Session } from '../session.js';
import { type Exchange, NO_PROOF, type Verdict, WRONG } from './exchange.js';

/** "md5", 32 digits and a NUL; room for clients that send something else and are told that it is wrong. */
const FRAME_BYTES_MAX = 2048;

export class Md5Exchange implements Exchange {
  readonly frameBytesMax = FRAME_BYTES_MAX;
  private readonly session: Session;
  private readonly hashes: readonly string[];
  private readonly salt = cryptoRandom.bytes(MD5_SALT_BYTES);

  /** Without a hash the client is asked all the same, and no answer is right. */
  constructor(session: Session, hashes: readonly string[]) {
    this.session = session;
    this.hashes = hashes;
  }

  begin(): void {
    this.session.send(buildAuthentication(AUTHENTICATION.MD5Password, this.salt));
  }

  handle(bytes: Uint8Array, start: number, end: number): Verdict {
    const response = parsePasswordMessage(bytes, start, end);
    const isRight = response !== null && isMd5Response(this.hashes, this.salt, response);
    return isRight ? { kind: 'accepted', proof: NO_PROOF } : WRONG;
  }
}
