import {
  AUTHENTICATION_OK,
  FRONTEND_ALLOWED,
  type HbaGroups,
  PgDogError,
  UNIX_ADDRESS,
  type UserSecrets,
} from '@pgdog-cluster/core';
import type { LookedUpUser } from '../../directory.js';
import { CONSUMED, type FrameSink } from '../../wire/frame-stream.js';
import { mayEnterAdmin } from '../admin-rights.js';
import { login } from '../login.js';
import type { Session } from '../session.js';
import { askAboutUser, askForPool, noteAnswer } from './ask-supervisor.js';
import {
  type CertificateTerms,
  certificateRefused,
  checkClientCertificate,
  checkRequiredCertificate,
  isCertificateOf,
  isIdentity,
  isPeerOf,
  peerRefused,
} from './certificate.js';
import { chooseMethod, findRule, type Method } from './choose-method.js';
import { type Exchange, NO_PROOF, type Proof, type Verdict } from './exchange.js';
import { askForGroups, groupsOf } from './groups.js';
import { hasSecrets, strangerLikeness } from './likeness.js';
import { Md5Exchange } from './md5-exchange.js';
import { PassthroughExchange } from './passthrough-exchange.js';
import { PlainExchange } from './plain-exchange.js';
import { logRefusal, reasonOf } from './refusal-log.js';
import { SaslExchange } from './sasl-exchange.js';

const HEADER_BYTES = 5;
/**
 * A refusal after a password in clear comes this long after the demand's answer: what a wrong one costs depends on
 * how it is known, and must not show.
 */
const PLAIN_REFUSAL_MS = 200;

type KnownUser = UserSecrets & CertificateTerms;

/** Of the operator, who has a password. */
const NO_CERTIFICATE: CertificateTerms = { identity: null, isCertificateRequired: false };

type State =
  /** A demand is out: one password message may come. */
  | 'asked'
  /** The verdict, or who the user is, is being found out: nothing may come. */
  | 'waiting'
  | 'over';

/** Between the start-up packet and AuthenticationOk: only password messages may come, one for each demand. */
export class Authentication implements FrameSink {
  private readonly session: Session;
  private state: State = 'waiting';
  private exchange: Exchange | null = null;
  private known: KnownUser | null = null;
  private isPlain = false;
  /** It could not be found out who the user is. */
  private isUnreachable = false;
  private answeredMs = 0;

  constructor(session: Session) {
    this.session = session;
  }

  begin(): void {
    const { session } = this;
    const { context } = session;
    context.countAuthAttempt(session);
    if (this.isBlocked()) {
      this.refuseUnread();
      return;
    }
    this.findMethod(groupsOf(session));
  }

  /** By the rules, the user's own setting, the general one. Rules and users may have to be asked for first. */
  private findMethod(groups: HbaGroups): void {
    const { session } = this;
    const { context } = session;
    const rule = findRule(session, groups);
    if (rule === 'ask') {
      askForGroups(session, (answer) => {
        if (answer instanceof PgDogError) this.refuseUncounted(answer);
        else this.findMethod(answer);
      });
      return;
    }
    if (rule instanceof PgDogError) {
      this.refuse(rule);
      return;
    }
    const known = this.configuredUser();
    if (!this.needsLookup(known)) {
      this.ask(chooseMethod(session, rule, known?.authType ?? null), known);
      return;
    }
    const own = known?.authType ?? null;
    const method = chooseMethod(session, rule, own);
    const before = context.directory.lookedUpUser('lookup', session.database, session.user, context.nowMs);
    if (before !== undefined) this.askLookedUp(method, before);
    else {
      askAboutUser(session, 'lookup', (reply) => {
        noteAnswer(session, 'lookup', reply);
        this.askLookedUp(method, reply);
      });
    }
  }

  /** Where nobody could be asked, the client is asked all the same, and told at the end: who is known beforehand does not show. */
  private askLookedUp(
    method: Method,
    { user, isUnreachable }: Pick<LookedUpUser, 'user' | 'isUnreachable'>,
  ): void {
    this.isUnreachable = isUnreachable;
    this.ask(method, user);
  }

  headBytes(type: number, frameBytes: number): number {
    const { exchange } = this;
    const allowed = this.state === 'asked' ? FRONTEND_ALLOWED.password : FRONTEND_ALLOWED.settling;
    // What a method has no use for is not collected either: there may be thousands who send it.
    const bytesMax = exchange?.frameBytesMax ?? 0;
    return allowed.allows(type, frameBytes) && frameBytes <= bytesMax ? frameBytes : -1;
  }

  onFrame(_type: number, bytes: Uint8Array, start: number, end: number): number {
    const { exchange } = this;
    if (exchange === null) return CONSUMED;
    this.state = 'waiting';
    this.answeredMs = this.session.context.nowMs;
    // Again: a thousand connections may have been asked before the first of them answered.
    if (this.isBlocked()) this.refuseUnread();
    else this.judge(exchange.handle(bytes, start + HEADER_BYTES, end));
    return CONSUMED;
  }

  onRest(): void {}

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    this.state = 'over';
    this.session.fail(new PgDogError('protocol_violation', reason));
  }

  /** Who the configuration says it is; null for a stranger. */
  private configuredUser() {
    const { session } = this;
    const { config, directory } = session.context;
    if (!session.isAdmin) return directory.user(session.user, session.database);
    const { admin } = config;
    if (admin.user === session.user) return { ...admin, ...NO_CERTIFICATE, authType: null };
    return mayEnterAdmin(config, session.user) ? directory.anyUser(session.user) : null;
  }

  /** A user without any secret of its own here, in a database that can be asked. */
  private needsLookup(known: KnownUser | null): boolean {
    const { session } = this;
    if (session.isAdmin || (known !== null && (hasSecrets(known) || this.isIdentified(known)))) return false;
    return session.context.directory.termsOf(session.database)?.hasAuthQuery === true;
  }

  /** Does the client's certificate stand for a password? */
  private isIdentified({ identity }: CertificateTerms): boolean {
    return identity !== null && isIdentity(this.session, identity);
  }

  private ask(method: Method, known: KnownUser | null): void {
    const { session } = this;
    this.known = known;
    const refusal = checkClientCertificate(session, method.rule) ?? checkRequiredCertificate(session, known);
    if (refusal !== null) {
      this.refuse(refusal);
      return;
    }
    switch (method.demand) {
      case 'trust':
        this.judge(known === null ? { kind: 'wrong' } : { kind: 'accepted', proof: NO_PROOF });
        return;
      case 'cert':
        this.decide(
          isCertificateOf(session, method.rule, known?.identity ?? null),
          certificateRefused(session),
        );
        return;
      case 'peer':
        this.decide(isPeerOf(session, method.rule), peerRefused(session));
        return;
      default:
        // A rule that asks for a password means it; without rules the certificate is enough.
        if (method.rule === null && known !== null && this.isIdentified(known))
          this.judge({ kind: 'accepted', proof: NO_PROOF });
        else this.askForPassword(method, known);
    }
  }

  /** Nothing to ask: the connection itself says who it is. The user must exist all the same. */
  private decide(isRight: boolean, refusal: PgDogError): void {
    if (isRight && this.known !== null) this.judge({ kind: 'accepted', proof: NO_PROOF });
    else if (isRight && this.isUnreachable) this.refuseUnreachable();
    else this.refuse(refusal);
  }

  private askForPassword({ demand, rule }: Method, known: UserSecrets | null): void {
    const { session } = this;
    const isPassthrough = this.isPassthrough(known, demand === 'plain' || rule === null);
    this.isPlain = isPassthrough || demand === 'plain';
    if (this.isPlain && !this.mayAskInClear(isPassthrough)) {
      const text = 'passwords in clear are asked for on encrypted connections only';
      this.refuse(new PgDogError('authentication_refused', text, { hint: 'Connect with TLS.' }));
      return;
    }
    const onVerdict = (verdict: Verdict): void => this.judge(verdict);
    if (isPassthrough) this.exchange = new PassthroughExchange(session, onVerdict);
    else if (demand === 'plain') this.exchange = new PlainExchange(session, known, onVerdict);
    else this.exchange = this.hashExchange(demand, known);
    this.state = 'asked';
    this.exchange.begin();
  }

  /** As PgBouncer: md5 becomes SCRAM for who has a verifier and nothing else. */
  private hashExchange(demand: Method['demand'], known: UserSecrets | null): Exchange {
    const { session } = this;
    const user = known !== null && hasSecrets(known) ? known : null;
    const look = user === null ? strangerLikeness(session) : null;
    const isMd5 = demand === 'md5' && (look?.isMd5 ?? (user?.md5Hashes.length ?? 0) > 0);
    if (isMd5) return new Md5Exchange(session, user?.md5Hashes ?? []);
    return new SaslExchange(session, user, look?.iterations ?? null);
  }

  /** Strangers, and users without a secret, whom a server may know. */
  private isPassthrough(known: UserSecrets | null, isAllowed: boolean): boolean {
    const { session } = this;
    const { passthrough } = session.context.config.general;
    if (passthrough === 'off' || session.isAdmin || !isAllowed) return false;
    return known === null || !hasSecrets(known);
  }

  private mayAskInClear(isPassthrough: boolean): boolean {
    const { session } = this;
    const { general } = session.context.config;
    if (session.tls !== null || session.addr === UNIX_ADDRESS) return true;
    return isPassthrough ? general.passthrough === 'plain' : general.isPlainAllowedWithoutTls;
  }

  private judge(verdict: Verdict): void {
    switch (verdict.kind) {
      case 'waiting':
        return;
      case 'continue':
        this.state = 'asked';
        return;
      case 'accepted':
        this.accept(verdict.proof);
        return;
      case 'wrong':
        this.refuseWrong();
        return;
      case 'unreachable':
        this.refuseUnreachable();
        return;
      default:
        this.state = 'over';
        this.session.fail(verdict.error);
    }
  }

  /** The user is who it says. Its pool may still have to be made. */
  private accept(proof: Proof): void {
    const { session } = this;
    const { directory } = session.context;
    const isListed = session.isAdmin || directory.user(session.user, session.database) !== null;
    const pool = session.isAdmin ? null : directory.pool(session.database, session.user);
    if (pool !== null || (isListed && (session.isAdmin || !directory.isTenant(session.database)))) {
      this.enter(pool !== null, proof);
      return;
    }
    this.state = 'waiting';
    askForPool(session, () => this.enter(true, proof));
  }

  private enter(hasPool: boolean, proof: Proof): void {
    const { session } = this;
    this.state = 'over';
    const teach = (): void => (hasPool ? this.teachPools(proof) : undefined);
    teach();
    session.send(AUTHENTICATION_OK);
    login(session, teach);
  }

  /** What it has proven serves towards every host of every shard: the user is the same on all of them. */
  private teachPools(proof: Proof): void {
    const { context, database, user } = this.session;
    for (const index of context.directory.shards(database, user).flatMap(({ pools }) => pools)) {
      const pool = context.directory.poolAt(index);
      if (pool !== null) context.poolFor(pool).credentials.learn(proof.keys, proof.password);
    }
  }

  private isBlocked(): boolean {
    const { addr, user, context } = this.session;
    return context.memory.failures.isBlocked(addr, user, this.limit(), context.nowMs);
  }

  private limit() {
    const { authFailuresMax, authFailuresWindowMs } = this.session.context.config.general;
    return { failuresMax: authFailuresMax, windowMs: authFailuresWindowMs };
  }

  private refuseUnread(): void {
    const { authFailuresMax, authFailuresWindowMs } = this.session.context.config.general;
    const text = `too many failed logins from this address (auth_failures_max = ${authFailuresMax} in ${authFailuresWindowMs} ms)`;
    this.refuseUncounted(new PgDogError('too_many_failures', text));
  }

  /** Not for anything the client did. */
  private refuseUncounted(error: PgDogError): void {
    const { session } = this;
    if (session.phase !== 'authenticating') return;
    this.state = 'over';
    logRefusal(session, error);
    session.fail(error);
  }

  /**
   * One text for a wrong password and a user that does not exist; and while it cannot be found out who exists, another one, for
   * everybody whose password is not right.
   */
  private refuseWrong(): void {
    const { session } = this;
    const { directory, nowMs } = session.context;
    const { database } = session;
    const isAskable = !session.isAdmin && directory.termsOf(database)?.hasAuthQuery === true;
    const isUnreachable = this.isUnreachable || (isAskable && directory.isUnreachable(database, nowMs));
    if (isUnreachable === true) this.refuseUnreachable();
    else if (isUnreachable === false) this.refuseKnown();
    else {
      this.state = 'waiting';
      askAboutUser(session, 'reach', (reply) => {
        directory.noteReach(database, reply, session.context.nowMs);
        if (reply.isUnreachable) this.refuseUnreachable();
        else this.refuseKnown();
      });
    }
  }

  /** Nothing the client did: it does not count as a failure. */
  private refuseUnreachable(): void {
    const error = new PgDogError('users_unreachable');
    this.state = 'waiting';
    const { deadlines } = this.session.context;
    if (!this.isPlain) this.refuseUncounted(error);
    else deadlines.add(this.answeredMs + PLAIN_REFUSAL_MS, () => this.refuseUncounted(error));
  }

  private refuseKnown(): void {
    const { session } = this;
    const error = new PgDogError(
      'wrong_password',
      `password authentication failed for user "${session.user}"`,
    );
    session.context.directory.doubt(session.database, session.user);
    const reason = this.exchange instanceof PassthroughExchange ? '' : reasonOf(session, this.known);
    if (!this.isPlain) {
      this.refuse(error, reason);
      return;
    }
    this.state = 'waiting';
    const { deadlines } = session.context;
    deadlines.add(this.answeredMs + PLAIN_REFUSAL_MS, () => this.refuse(error, reason));
  }

  private refuse(error: PgDogError, reason = ''): void {
    const { session } = this;
    const { user, context, addr } = session;
    if (session.phase !== 'authenticating') return;
    this.state = 'over';
    context.memory.failures.noteFailure(addr, user, this.limit(), context.nowMs);
    logRefusal(session, error, reason);
    session.fail(error);
  }
}
