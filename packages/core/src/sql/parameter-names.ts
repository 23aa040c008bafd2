/** Values that last for one transaction whatever statement sets them; there is nothing to carry over. */
export const TRANSACTION_PARAMETERS: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
]);

/** Old spellings Postgres still takes (guc.c, map_old_guc_names). */
const OLD_NAMES: ReadonlyMap<string, string> = new Map([
  ['sort_mem', 'work_mem'],
  ['vacuum_mem', 'maintenance_work_mem'],
]);

/** Parameter names know no case, quoted or not. */
export function canonicalParameterName(name: string): string {
  const lower = name.toLowerCase();
  return OLD_NAMES.get(lower) ?? lower;
}
