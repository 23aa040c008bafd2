/** Which hosts may serve what a session asks next. */
export const WANT_PRIMARY = 0;
/** A read: who serves it is read_write_split's to say. */
export const WANT_READ = 1;
/** A directive asks for a replica. */
export const WANT_REPLICA = 2;
/** The primary while it can, else any: SET, SHOW, a login's settings. */
export const WANT_ANY = 3;
export type Want = typeof WANT_PRIMARY | typeof WANT_READ | typeof WANT_REPLICA | typeof WANT_ANY;

/** By number, for logs and EXPLAIN. */
export const WANT_NAMES = ['primary', 'read', 'replica', 'any'] as const;

/** What a session's past says about hosts for its next read. */
export interface RouteTerms {
  readonly want: Want;
  /** Its last write stands here in the primary's log: replicas must have replayed it. 0 = no such demand. */
  readonly writtenLsn: number;
  /** When it wrote last, epoch ms: replicas must lag less than it is ago. 0 = no such demand. */
  readonly writtenMs: number;
}
