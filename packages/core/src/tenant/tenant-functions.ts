/**
 * Functions of Postgres and its extensions that read tables which no statement names: they run a text, take a table by
 * its name, or read the log. What users' own functions read cannot be seen.
 */
const READERS: ReadonlySet<string> = new Set(
  (
    'query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml table_to_xmlschema ' +
    'table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml ' +
    'database_to_xmlschema database_to_xml_and_xmlschema ts_stat ts_rewrite pg_logical_slot_get_changes ' +
    'pg_logical_slot_peek_changes pg_logical_slot_get_binary_changes pg_logical_slot_peek_binary_changes ' +
    'crosstab crosstab2 crosstab3 crosstab4 connectby xpath_table get_raw_page'
  ).split(' '),
);

export function readsUnseen(name: string): boolean {
  return READERS.has(name) || name.startsWith('dblink');
}
