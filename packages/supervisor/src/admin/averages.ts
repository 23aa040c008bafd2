import type { COUNTER_NAMES } from '@pgdog-cluster/core';
import { counterIndex, type PoolChange } from './stats-window.js';

type CounterName = (typeof COUNTER_NAMES)[number];

/**
 * One statistic of SHOW STATS, in PgDog's order. `counter` null: PgDog has it, this version does not count it.
 * A time has `per`: its average is per one of those; of all others the average is per second.
 */
export interface Statistic {
  /** Without total_ and avg_. */
  name: string;
  counter: CounterName | null;
  /** Microseconds in memory, milliseconds when shown. */
  isTime: boolean;
  per: CounterName | null;
  meaning: string;
}

function count(name: string, counter: CounterName | null, meaning: string): Statistic {
  return { name, counter, isTime: false, per: null, meaning };
}

function time(name: string, counter: CounterName, per: CounterName, meaning: string): Statistic {
  return { name, counter, isTime: true, per, meaning };
}

const NOT_COUNTED = 'Always 0 in this version.';

export const STATISTICS: readonly Statistic[] = [
  count('xact_count', 'xactCount', 'Transactions.'),
  count('xact_2pc_count', null, NOT_COUNTED),
  count('query_count', 'queryCount', 'Queries.'),
  count('server_assignment_count', 'serverAssignmentCount', 'Times a client was given a server connection.'),
  count('received', 'received', 'Bytes from clients.'),
  count('sent', 'sent', 'Bytes to clients.'),
  time('xact_time', 'xactTimeUs', 'xactCount', 'Time in transactions, ms.'),
  time('idle_xact_time', 'idleXactTimeUs', 'xactCount', 'Time idle in transactions, ms.'),
  time('query_time', 'queryTimeUs', 'queryCount', 'Time in queries, ms.'),
  time(
    'wait_time',
    'waitTimeUs',
    'serverAssignmentCount',
    'Time clients waited for a server connection, ms.',
  ),
  count('server_parse_count', 'serverParseCount', 'Statements prepared on servers.'),
  count('bind_count', 'bindCount', 'Bind messages.'),
  count('close_count', 'closeCount', 'Close messages.'),
  count('errors', 'errors', 'Errors the servers reported.'),
  count('cleaned', 'cleaned', 'Server connections reset between clients.'),
  count('rollbacks', 'rollbacks', 'Rollbacks made for clients that left.'),
  time('connect_time', 'connectTimeUs', 'connectCount', 'Time to connect to servers, ms.'),
  count('connect_count', 'connectCount', 'Server connections opened.'),
  count('reads', null, NOT_COUNTED),
  count('writes', null, NOT_COUNTED),
  count('auth_attempts', 'authAttempts', 'Logins of clients, failed ones included.'),
  count('rows_inserted', null, NOT_COUNTED),
  count('rows_updated', null, NOT_COUNTED),
  count('rows_deleted', null, NOT_COUNTED),
];

/** The total since start: a count, bytes, or ms. */
export function totalOf({ counter, isTime }: Statistic, counters: readonly number[]): number {
  const value = counter === null ? 0 : counters[counterIndex(counter)];
  return isTime ? value / 1000 : value;
}

/** Of a time: ms per transaction, query and so on. Of the others: per second. */
export function averageOf(statistic: Statistic, { seconds, counters }: PoolChange): number {
  const grown = totalOf(statistic, counters);
  const divisor = statistic.per === null ? seconds : counters[counterIndex(statistic.per)];
  return divisor > 0 ? grown / divisor : 0;
}
