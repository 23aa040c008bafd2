import { row } from './default-row.js';

const AS_PGDOG = 'as PgDog';

/** Of [general]: what is logged, and how it looks. Part of GENERAL_DEFAULTS. */
export const LOG_DEFAULTS = {
  log_format: row(
    'text' as const,
    '',
    '`text`, `json` (fields nested) or `json_flattened` (fields at the top level).',
    AS_PGDOG,
  ),
  log_level: row('info', '', '`error`, `warn`, `info`, `debug` or `trace`.', AS_PGDOG),
  log_connections: row(true, '', 'One line per client login.', AS_PGDOG),
  log_disconnections: row(true, '', 'One line per client exit, with the reason.', AS_PGDOG),
  log_dedup_window: row(
    0,
    'ms',
    'Window in which lines of one code are counted. 0: all are written.',
    AS_PGDOG,
  ),
  log_dedup_threshold: row(
    0,
    '',
    'Lines of one code written per window; the rest is counted. 0: all.',
    AS_PGDOG,
  ),
  log_min_duration_statement: row(
    0,
    'ms',
    'Statements that take at least this long are logged, without their literals (code `slow_query`). 0: none.',
    'what is slow depends on who asks',
    'ours',
  ),
  log_min_duration_transaction: row(
    0,
    'ms',
    'The same for transactions of several requests (`slow_transaction`). 0: none.',
    'what is slow depends on who asks',
    'ours',
  ),
  log_min_duration_checkout: row(
    0,
    'ms',
    'The same for waits for a server connection (`slow_checkout`). 0: none.',
    'what is slow depends on who asks',
    'ours',
  ),
  log_min_duration_parse: row(
    0,
    'ms',
    'The same for what the proxy itself takes to read a statement of a new shape (`slow_parse`). 0: none.',
    AS_PGDOG,
  ),
  log_query_text: row(
    false,
    '',
    'Slow statements are logged with their text as the client has sent it, literals and all, beside what is shown without them. Values of parameters are never logged.',
    'secrets stand in literals',
    'ours',
  ),
  log_query_sample_length: row(1_000, '', 'Bytes of such a text that are logged at most.', AS_PGDOG),
};
