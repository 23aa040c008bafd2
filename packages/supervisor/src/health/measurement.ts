/** What a host says of itself, in one question that any user may ask. */

export interface Measurement {
  isInRecovery: boolean;
  /** Of a standby it may be that of its last restart point: never too high, sometimes old. 0 = unknown. */
  timeline: number;
  /** Written by a primary, replayed by a standby: bytes from the start of the log. 0 = unknown. */
  lsn: number;
  /** When the last transaction that a standby has replayed was committed, epoch ms by the primary's clock; 0 = unknown. */
  replayedXactMs: number;
  /** pg_control_system(): the same for all copies of one database system. Empty = unknown. */
  systemId: string;
  /** When it was asked and answered, by the clock of the health checks. */
  askedMs: number;
  answeredMs: number;
}

const LSN =
  'CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END';

/**
 * The timeline of a primary comes from where it writes: its control file learns of a promotion only at the next
 * checkpoint. Postgres evaluates only the branch of a CASE that is taken, so neither side meets the other's functions.
 */
const WRITTEN_TIMELINE =
  "('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::pg_catalog.bit(32)::pg_catalog.int8";
const REPLAYED_TIMELINE =
  'GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()), (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))';

function question(replayedTimeline: string, systemId: string): string {
  return (
    'SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text, ' +
    `(${LSN} - '0/0'::pg_catalog.pg_lsn)::pg_catalog.text, ` +
    `(CASE WHEN pg_catalog.pg_is_in_recovery() THEN ${replayedTimeline} ELSE ${WRITTEN_TIMELINE} END)::pg_catalog.text, ` +
    '(extract(epoch FROM pg_catalog.pg_last_xact_replay_timestamp()) * 1000)::pg_catalog.text, ' +
    `${systemId}::pg_catalog.text`
  );
}

export const QUESTION = question(
  REPLAYED_TIMELINE,
  '(SELECT system_identifier FROM pg_catalog.pg_control_system())',
);
/** For servers that keep the control file from ordinary users. */
export const SHORT_QUESTION = question('NULL', "''");

/** Null when the row is not an answer to the question. */
export function readMeasurement(
  row: readonly unknown[] | undefined,
  askedMs: number,
  answeredMs: number,
): Measurement | null {
  const [recovery, lsn, timeline, replayedXactMs, systemId] = row ?? [];
  if (recovery !== 'true' && recovery !== 'false') return null;
  return {
    isInRecovery: recovery === 'true',
    lsn: numberOf(lsn),
    timeline: numberOf(timeline),
    replayedXactMs: numberOf(replayedXactMs),
    systemId: typeof systemId === 'string' ? systemId : '',
    askedMs,
    answeredMs,
  };
}

function numberOf(text: unknown): number {
  const value = typeof text === 'string' ? Number(text) : 0;
  return Number.isFinite(value) ? value : 0;
}
