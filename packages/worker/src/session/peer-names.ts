import type { SupervisorMessage } from '@pgdog-cluster/core';
import { peerUserId } from '../io/socket-options.js';
import type { Session } from './session.js';

/** A burst of connects asks once; a user that is renamed is seen soon. */
const NAME_KEPT_MS = 5000;
/** Beyond, all are forgotten: who has thousands of ids (user namespaces) can make us ask again, not keep more. */
const NAMES_MAX = 1024;

/** Reason for which a session's bytes are not read: its user is not known yet. See PAUSE_HELD and the like. */
const PAUSE_PEER = 1 << 10;

/**
 * Names of the users behind Unix sockets. The system is asked by the supervisor, on a thread that may wait; until
 * the answer is there the session does not read.
 */
export class PeerNames {
  private readonly known = new Map<number, { name: string | null; untilMs: number }>();
  private readonly waiting = new Map<number, Session[]>();

  /** Sets the session's peerUser, now or later. */
  identify(session: Session): void {
    const uid = peerUserId(session.connection.fd);
    // Without a name no rule for peers lets anybody in.
    if (uid === -1) return;
    const known = this.known.get(uid);
    if (known !== undefined && known.untilMs > session.context.nowMs) {
      session.peerUser = known.name;
      return;
    }
    session.connection.pauseReceive(PAUSE_PEER);
    const waiting = this.waiting.get(uid);
    if (waiting !== undefined) {
      waiting.push(session);
      return;
    }
    this.waiting.set(uid, [session]);
    const { worker } = session.context;
    const request: SupervisorMessage = { type: 'peerNameRequest', worker, uid };
    session.context.tell(request);
  }

  answered(uid: number, name: string | null, nowMs: number): void {
    if (this.known.size >= NAMES_MAX) this.known.clear();
    this.known.set(uid, { name, untilMs: nowMs + NAME_KEPT_MS });
    const waiting = this.waiting.get(uid) ?? [];
    this.waiting.delete(uid);
    for (const session of waiting) {
      if (session.phase === 'closed') continue;
      session.peerUser = name;
      session.connection.resumeReceive(PAUSE_PEER);
    }
  }
}
