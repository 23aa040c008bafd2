import type { TransactionRow } from '../two-phase/recovery.js';
import { column, defineShow } from './show.js';

export const SHOW_TRANSACTIONS = defineShow<TransactionRow>({
  name: 'transactions',
  privilege: 'admin',
  description:
    'What commits over several shards have prepared and not ended, now, on any shard; every shard is asked.',
  columns: [
    column('database', 'text', 'Name of the database.', (row) => row.database),
    column('user', 'text', 'Who has prepared it, on the server.', ({ part }) => part?.owner ?? null),
    column('transaction_name', 'text', 'As pg_prepared_xacts shows it.', ({ part }) => part?.gid ?? null),
    column(
      'transaction_state',
      'text',
      'in progress: somebody is at work on it; in doubt: recovery is to end it; unknown: a shard cannot be asked.',
      ({ part }) => part?.state ?? 'unknown',
    ),
    column(
      'id',
      'bigint',
      'Id of the transaction on all shards, in pgdog.transactions.',
      ({ part }) => part?.id ?? null,
    ),
    column('shard', 'numeric', 'Where it is prepared.', ({ part }) => part?.foundOn ?? null),
    column('decider', 'numeric', 'The shard whose commit decides.', ({ part }) => part?.decider ?? null),
    column('age', 'bigint', 'Since it was prepared.', ({ part }) =>
      part === null ? null : Math.max(0, Math.round(part.ageMs)),
    ),
    column(
      'reason',
      'text',
      'Why recovery has not ended it, or why a shard cannot be asked.',
      (row) => row.reason,
    ),
  ],
  rows: ({ transactions }) => transactions(),
});
