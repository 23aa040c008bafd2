import type { CopySummary } from '../copies/copy-reader.js';
import type { DriftRow } from '../copies/copy-watch.js';
import { column, defineShow } from './show.js';

interface DriftLine extends DriftRow {
  shard: number | null;
  copy: CopySummary | null;
}

/** What needs somebody comes first, and shard by shard; what is well is one row. */
function linesOf(rows: readonly DriftRow[]): DriftLine[] {
  const isWell = ({ row }: DriftRow): boolean => row?.state === 'same';
  const whole = (each: DriftRow): DriftLine => ({ ...each, shard: null, copy: each.row?.copies[0] ?? null });
  const byShard = (each: DriftRow): DriftLine[] =>
    each.row?.copies.map((copy, shard) => ({ ...each, shard, copy })) ?? [whole(each)];
  return [...rows.filter((each) => !isWell(each)).flatMap(byShard), ...rows.filter(isWell).map(whole)];
}

export const SHOW_OMNI_DRIFT = defineShow<DriftLine>({
  name: 'omni_drift',
  privilege: 'admin',
  description:
    'Tables that every shard has whole, and whether they are the same on all of them, now: every row of them is read on every shard, by its primary. Those that differ come first, with a row for each shard.',
  columns: [
    column('database', 'text', 'Name of the database.', ({ database }) => database),
    column('schema', 'text', 'Its schema.', ({ row }) => row?.schema ?? null),
    column('name', 'text', 'Its name.', ({ row }) => row?.name ?? null),
    column(
      'state',
      'text',
      'same; differs: nothing was written between two readings, and they do not agree; changing: it is written all the time; unread: a shard could not be asked.',
      ({ row }) => row?.state ?? 'unread',
    ),
    column('shard', 'numeric', 'Whose copy this is; empty: all have the same.', ({ shard }) => shard),
    column('rows', 'bigint', 'In it.', ({ copy }) => copy?.rows ?? null),
    column('checksum', 'text', 'Of its rows, in whatever order.', ({ copy }) => copy?.checksum ?? null),
    column('reason', 'text', 'Why a shard could not be asked.', ({ reason }) => reason),
  ],
  rows: async ({ drift }) => linesOf(await drift()),
});
