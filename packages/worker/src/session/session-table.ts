import { SESSIONS_MAX } from '@pgdog-cluster/core';
import type { Session } from './session.js';

/** The sessions of one worker by slot. */
export class SessionTable {
  private readonly slots: (Session | null)[] = [];
  private readonly free: number[] = [];
  private nextId = 1;
  private total = 0;
  private homed = 0;

  get count(): number {
    return this.total;
  }

  /** Those whose pool is small and at home in this worker. */
  get homedCount(): number {
    return this.homed;
  }

  markHomed(session: Session): void {
    if (session.isHomed) return;
    session.isHomed = true;
    this.homed++;
  }

  /** Makes a session in a free slot; null when there is none. */
  add(make: (slot: number, id: number) => Session): Session | null {
    const slot = this.free.pop() ?? this.slots.length;
    if (slot >= SESSIONS_MAX) return null;
    const session = make(slot, this.nextId++);
    this.slots[slot] = session;
    this.total++;
    return session;
  }

  /** For a session that is in no slot. */
  takeId(): number {
    return this.nextId++;
  }

  at(slot: number): Session | null {
    return this.slots[slot] ?? null;
  }

  remove(session: Session): void {
    if (this.slots[session.slot] !== session) return;
    this.slots[session.slot] = null;
    this.free.push(session.slot);
    this.total--;
    if (session.isHomed) this.homed--;
  }

  /** The callback may remove sessions. */
  forEach(visit: (session: Session) => void): void {
    for (let slot = 0; slot < this.slots.length; slot++) {
      const session = this.slots[slot];
      if (session !== null) visit(session);
    }
  }
}
