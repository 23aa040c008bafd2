/** Of pg_catalog: what they show is each host's own, whatever the data says. */
export const HOST_RELATIONS: ReadonlySet<string> = new Set(
  (
    'pg_aios pg_available_extension_versions pg_available_extensions pg_backend_memory_contexts pg_config ' +
    'pg_cursors pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_locks pg_prepared_statements ' +
    'pg_prepared_xacts pg_replication_origin_status pg_replication_slots pg_sequences pg_settings ' +
    'pg_shmem_allocations pg_shmem_allocations_numa'
  ).split(' '),
);
export const HOST_RELATION_PREFIXES: readonly string[] = ['pg_stat_', 'pg_statio_'];

/** pg_stats and pg_statistic are tables like others, and the same on all hosts. */
export function isHostRelation(schema: string | null, name: string): boolean {
  if (schema !== null && schema !== 'pg_catalog') return false;
  return HOST_RELATIONS.has(name) || HOST_RELATION_PREFIXES.some((prefix) => name.startsWith(prefix));
}
