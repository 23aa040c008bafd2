/** Which questions to a catalog are about numbers (oids) that each server has given by itself. */

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Of pg_catalog: what is of the session, the server or its files, and tells no number of anything users have made. */
const UNNUMBERED = words(
  'pg_settings pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_config pg_cursors pg_prepared_statements ' +
    'pg_prepared_xacts pg_timezone_names pg_timezone_abbrevs pg_available_extensions pg_available_extension_versions ' +
    'pg_roles pg_user pg_shadow pg_group pg_authid pg_auth_members pg_database pg_tables pg_views pg_matviews pg_indexes ' +
    'pg_sequences pg_policies pg_rules',
);

/** A relation of the system that has numbers among its columns: those of information_schema go by names. */
export function hasNumbers(schema: string, name: string): boolean {
  return schema !== 'information_schema' && !UNNUMBERED.has(name);
}

const NUMBERED_CALLS = words(
  'format_type obj_description col_description pg_describe_object pg_identify_object pg_identify_object_as_address ' +
    'pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_relation_filenode pg_relation_filepath ' +
    'pg_partition_tree pg_partition_ancestors pg_partition_root pg_index_column_has_property pg_index_has_property',
);

/** A function of pg_catalog that is given such numbers, or gives them. */
export function takesNumbers(name: string): boolean {
  return (
    NUMBERED_CALLS.has(name) ||
    name.startsWith('pg_get_') ||
    name.startsWith('to_reg') ||
    (name.startsWith('pg_') && name.endsWith('_is_visible')) ||
    (name.startsWith('has_') && name.endsWith('_privilege'))
  );
}
