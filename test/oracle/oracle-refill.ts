/** Puts back what a case has changed. */
import { ORACLE_TABLES, pristine } from './oracle-schema.js';

/** Puts the rows of these tables back, on any database, and all sequences. Those that refer to them must be among them. */
export function refill(names: ReadonlySet<string>): string {
  const tables = ORACLE_TABLES.filter(({ name }) => names.has(name));
  return [
    "SET session_replication_role = replica; SET lock_timeout = '5s';",
    ...(tables.length === 0 ? [] : [`TRUNCATE ${tables.map(({ name }) => name).join(', ')};`]),
    `SELECT setval(seqrelid, seqstart, false) FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid
      WHERE c.relpersistence = 'p' AND c.relnamespace::regnamespace::text <> 'pgdog';`,
    ...tables.map(
      (table) =>
        `INSERT INTO ${table.name} (${table.columns}) OVERRIDING SYSTEM VALUE SELECT ${table.columns} FROM ${pristine(table)};`,
    ),
  ].join('\n');
}

export const ALL_TABLES: ReadonlySet<string> = new Set(ORACLE_TABLES.map(({ name }) => name));

/** Tables that refer to others: TRUNCATE of one takes both. */
export const REFERENCES = `SELECT conrelid::regclass::text AS own, confrelid::regclass::text AS other
  FROM pg_constraint WHERE contype = 'f' AND conparentid = 0`;
