/** Keys of [config_source], with their defaults. */
import * as z from 'zod';
import { row } from './default-row.js';
import * as field from './fields.js';

/** Far above what a query needs. */
const QUERY_CHARS_MAX = 100_000;
const QUERY_ERROR = `expected a query of at most ${QUERY_CHARS_MAX} characters, or "" for none`;

const query = () => z.string({ error: QUERY_ERROR }).max(QUERY_CHARS_MAX, { error: QUERY_ERROR });

export const configSourceSchema = z
  .strictObject({
    password: field.secret(),
    databases_query: query(),
    users_query: query(),
    channel: z.string({ error: 'expected a name, or "" for none' }).max(field.NAME_BYTES_MAX),
    refresh_interval: field.count(100),
    cache_file: field.text(),
  })
  .partial()
  .extend({ postgres: field.secret() });

export type ConfigSourceInput = z.infer<typeof configSourceSchema>;

export const CONFIG_SOURCE_DEFAULTS = {
  postgres: row(
    null as string | null,
    '',
    'Where the tables are: `postgres://user@host:port/database?sslmode=verify-full`, or `{ env = }`, `{ file = }`. Parameters are those of -d.',
    'required',
    'ours',
  ),
  password: row(
    null as string | null,
    '',
    'Its password, where the URL has none.',
    'a URL is easily shown',
    'ours',
  ),
  databases_query: row(
    'SELECT * FROM pgdog.databases ORDER BY name, shard, host, port',
    '',
    'Its columns are keys of [[databases]], NULL for what is not set. Empty: none is asked.',
    'the table that `pgdog-cluster schema sql` makes',
    'ours',
  ),
  users_query: row(
    'SELECT * FROM pgdog.users ORDER BY name',
    '',
    'Likewise of [[users]].',
    'the table that `pgdog-cluster schema sql` makes',
    'ours',
  ),
  channel: row(
    'pgdog_config',
    '',
    'Is listened to: a NOTIFY has the tables read again. Empty: nothing is listened to.',
    'what the triggers of `pgdog-cluster schema sql` notify',
    'ours',
  ),
  refresh_interval: row(
    60_000,
    'ms',
    'They are read again after this long in any case.',
    'for changes that nobody notified of',
    'ours',
  ),
  cache_file: row(
    null as string | null,
    '',
    'Copy of what was read last, for starts while the source is down; relative to pgdog.toml. Unset: none.',
    'it holds passwords in clear',
    'ours',
  ),
} as const;
