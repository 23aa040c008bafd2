import { type NodeClaimedMessage, PgDogError, systemClock } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';

/** The frame that needs an id must wait, and will be shown again. */
export const WAIT = 'wait';

/** Ids of one database with several shards: by a number that the supervisor has claimed there, or is asked to claim. */
export class ClaimedIds {
  private readonly context: WorkerContext;
  private readonly database: string;
  /** Of the table of ids; 0: not known yet. */
  private row = 0;
  private isWanted = false;
  /** Why none can be made for now; '': it is not known that they cannot. */
  private trouble = '';
  private readonly waiters = new Set<Session>();

  constructor(context: WorkerContext, database: string) {
    this.context = context;
    this.database = database;
  }

  /** @returns WAIT: `session` is resumed when there are some */
  next(session: Session): bigint | PgDogError | typeof WAIT {
    const { memory, config } = this.context;
    const { row } = this;
    const id =
      row === 0 ? 'unclaimed' : memory.ids.nextClaimed(row, systemClock.nowMs(), config.general.uniqueIds);
    if (id === null) return new PgDogError('unique_ids_exhausted');
    if (id !== 'unclaimed') return id;
    this.want();
    if (this.trouble !== '') return new PgDogError('unique_ids_unclaimed', this.trouble);
    this.waiters.add(session);
    return WAIT;
  }

  private want(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    const { worker } = this.context;
    this.context.tell({ type: 'nodeWanted', worker, database: this.database });
  }

  claimed({ row, error }: NodeClaimedMessage): void {
    this.isWanted = false;
    this.row = row;
    this.trouble = error;
    const sessions = [...this.waiters];
    this.waiters.clear();
    for (const session of sessions) session.resumeRequests();
  }

  /** It waits no more: gone, or cancelled. */
  forget(session: Session): void {
    this.waiters.delete(session);
  }

  holds(session: Session): boolean {
    return this.waiters.has(session);
  }
}
