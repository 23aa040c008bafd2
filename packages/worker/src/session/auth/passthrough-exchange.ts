import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  AUTHENTICATION,
  type AuthReplyMessage,
  buildAuthentication,
  PgDogError,
  parsePasswordMessage,
} from '@pgdog-cluster/core';
import type { Session } from '../session.js';
import { askAboutUser, noteAnswer } from './ask-supervisor.js';
import { type Exchange, type Verdict, WAITING, WRONG } from './exchange.js';

/** A pool with its password has to fit a mailbox message; tokens of cloud providers have some thousand bytes. */
const PASSWORD_BYTES_MAX = 32 * 1024;
const NO_DATA = new Uint8Array(0);

/**
 * The client's own password for the server. A server has to accept it, or have accepted the same one shortly
 * before; that a pool of that user exists says nothing about who asks for it.
 */
export class PassthroughExchange implements Exchange {
  readonly frameBytesMax = PASSWORD_BYTES_MAX + 6;
  private readonly session: Session;
  private readonly onVerdict: (verdict: Verdict) => void;

  constructor(session: Session, onVerdict: (verdict: Verdict) => void) {
    this.session = session;
    this.onVerdict = onVerdict;
  }

  begin(): void {
    this.session.send(buildAuthentication(AUTHENTICATION.CleartextPassword, NO_DATA));
  }

  handle(bytes: Uint8Array, start: number, end: number): Verdict {
    const { session } = this;
    const { context } = session;
    const password = parsePasswordMessage(bytes, start, end);
    if (password === null || password === '') return WRONG;
    const accepted: Verdict = { kind: 'accepted', proof: { keys: null, password } };
    if (this.wasAcceptedBefore(password)) return accepted;
    // There is no server to ask; the name of the database is not admitted to be wrong before somebody has logged in.
    if (context.directory.termsOf(session.database) === null) return WRONG;
    const onReply = (reply: AuthReplyMessage): void => {
      const { refusal } = reply;
      if (refusal !== undefined) {
        this.onVerdict({
          kind: 'failed',
          error: new PgDogError(refusal.code, refusal.message, { hint: '' }),
        });
        return;
      }
      if (reply.isFull) {
        this.onVerdict({ kind: 'failed', error: new PgDogError('too_many_dynamic_users') });
        return;
      }
      if (reply.isUnreachable) {
        this.onVerdict({ kind: 'unreachable' });
        return;
      }
      if (reply.user !== null) noteAnswer(session, 'passthrough', reply);
      this.onVerdict(reply.user === null ? WRONG : accepted);
    };
    askAboutUser(session, 'passthrough', onReply, { password });
    return WAITING;
  }

  private wasAcceptedBefore(password: string): boolean {
    const { context, database, user } = this.session;
    const before = context.directory.lookedUpUser('passthrough', database, user, context.nowMs);
    if (before?.user === null || before === undefined) return false;
    const tag = createHmac('sha256', context.config.tagSecret).update(password).digest();
    return before.user.passwordTags.some(
      (known) => known.length === tag.length && timingSafeEqual(known, tag),
    );
  }
}
