// Writes docs/reference/admin.md, metrics.md and logs.md from the tables the program itself reads. `--check` only compares
// (exit code 1 when a file is out of date). Needs a build.
import { readFileSync, writeFileSync } from 'node:fs';
import { ERROR_TABLE, LOG_CODES } from '@pgdog-cluster/core';
import {
  BOUNCER_SHOWS,
  helpLines,
  LATENCY_BOUNDS_SECONDS,
  LATENCY_METRICS,
  METRICS,
  POOL_LABELS,
  SHOWS,
  UNSUPPORTED_ORDERS,
} from 'pgdog-cluster';

const TYPES = { 16: 'BOOL', 20: 'BIGINT', 23: 'INTEGER', 25: 'TEXT', 1700: 'NUMERIC' };

const cell = (text) => String(text).replaceAll('|', '\\|');

function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

const title = (name) => (name.includes('.') ? name : name.toUpperCase());

function showSection({ name, privilege, description, columns }) {
  const who = privilege === 'client' ? '\n\nAny client may ask, in any database.' : '';
  const rows = columns.map((column) => [`\`${column.name}\``, TYPES[column.typeOid], column.meaning]);
  return `## SHOW ${title(name)}\n\n${description}${who}\n\n${table(['column', 'type', 'meaning'], rows)}`;
}

const admin = `# Admin database

<!-- Written by scripts/print-admin-reference.mjs from packages/supervisor/src/admin; edit there. -->

Database \`admin\` (also \`pgdog\` and \`pgbouncer\`, unless a database of that name is configured), user and password as in
\`[admin]\`: \`psql -h … -p 6432 -U admin admin\`. Simple and extended query protocol, without parameters.
Several commands may stand in one Query, separated by semicolons; the first error ends it. Names and order of the columns are PgDog's; ours follow at the end.
In database \`pgbouncer\` SHOW POOLS, CLIENTS, SERVERS, STATS, LISTS, CONFIG and PEERS have PgBouncer's columns, which stand at the end of this page.
Where PgDog has \`used_clients\` twice in SHOW LISTS, it stands once here.

- Times are milliseconds unless a column says otherwise; \`avg_\` columns look at the last full \`stats_period\`.
- Every SHOW also as JSON on the HTTP port, behind its token: \`GET /show/pools\`, \`GET /show/pgbouncer/pools\`.
- An unknown command is an error 08P01. \`SHOW\` of an unknown name is one row with an empty value, as drivers need it.
- \`SET\` of a client's setting is accepted and has no effect; \`SET\` of a setting of pgdog-cluster changes it until the next RELOAD, or is refused by name.
- SHOW CLIENTS, SERVERS, POOLS and pgdog.shards ask the workers; one that does not answer within 2 s is left out. All
  others read shared memory only.

${table(
  ['command', 'does'],
  helpLines().map(({ usage, description }) => [`\`${usage}\``, description]),
)}

Known, and refused by this version with 0A000: ${UNSUPPORTED_ORDERS.map((word) => word.toUpperCase()).join(', ')}.

${SHOWS.map(showSection).join('\n\n')}

# In database pgbouncer

${BOUNCER_SHOWS.map(showSection).join('\n\n').replaceAll('## SHOW', '## pgbouncer: SHOW')}
`;

const metricRows = METRICS.map(({ name, type, labels, help }) => [
  `\`${name}\``,
  type,
  labels.join() === POOL_LABELS.join() ? 'pool' : labels.join(', '),
  help,
]);
const latencyRows = LATENCY_METRICS.map(({ name, help }) => [`\`${name}\``, 'histogram', 'pool', help]);

const metrics = `# Metrics

<!-- Written by scripts/print-admin-reference.mjs from packages/supervisor/src/http; edit there. -->

\`openmetrics_port\` in [general] opens an HTTP port on \`openmetrics_host\` (127.0.0.1 unless set):

| path | answer |
|---|---|
| \`/\` | the dashboard, for a browser |
| \`/api/status\` | its figures once, JSON (\`StatusFrame\` in packages/core/src/status); \`/api/events\`: every second, as server-sent events |
| \`/metrics\` | Prometheus text format 0.0.4, or OpenMetrics 1.0 for who asks for it (\`Accept: application/openmetrics-text\`): the same samples under the same names. Counters there must end in \`_total\`; those of PgDog's that do not are \`unknown\` |
| \`/healthz\` | 200 while the process lives |
| \`/readyz\` | 200 when clients are welcome; 503 while draining, when no worker serves or no server passes its checks |

With \`openmetrics_token\` all but health and the empty page is for those who send \`Authorization: Bearer …\` with it (401 else). Without one, who
asks over the loopback interface must do so by an IP address or as \`localhost\` (421 else), so that no page of a stranger in a
browser of this machine reads the answer. At most 64 connections, 8 KB of headers, 5 s for a request, 4 scrapes at once.

Every name has \`openmetrics_namespace\` in front, as it is. Figures come from shared memory: a scrape does not touch
the workers, and takes the supervisor some 30 ms for a thousand pools. Names and the pool labels (${POOL_LABELS.map((label) => `\`${label}\``).join(', ')}) are PgDog's. As there, \`total_…_time\` and
\`avg_…_time\` are milliseconds. Histograms have ${LATENCY_BOUNDS_SECONDS.length} buckets from ${LATENCY_BOUNDS_SECONDS[0] * 1e6} microseconds to ${LATENCY_BOUNDS_SECONDS.at(-1).toFixed(1)} seconds, each twice the one before.

${table(['name', 'type', 'labels', 'meaning'], [...metricRows, ...latencyRows])}
`;

const codeRows = Object.entries(LOG_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]);
const errorRows = Object.entries(ERROR_TABLE).map(
  ([code, { sqlstate, severity, fault, message, remedy }]) => [
    `\`${code}\``,
    sqlstate,
    severity,
    fault,
    message,
    remedy,
  ],
);

const logs = `# Logs

<!-- Written by scripts/print-admin-reference.mjs from packages/core/src/base/log-codes.ts and errors.ts; edit there. -->

One event is one line, with a code that never changes its meaning. \`log_format = "text"\`: time, level, code, message, \`key=value\`; \`json\`: \`code\`, \`level\`, \`timestamp\` and \`fields\`;
\`json_flattened\`: all at the top. How many lines of a code there may be, and the fields of what is slow: [logs](../internals/logs.md).

${table(['code', 'says'], codeRows)}

## Errors

What clients get of us: SQLSTATE, text (mostly with more of the place) and hint. Where it ends a login or keeps a server connection from being made it is a line of the log too, of that code.

${table(['code', 'SQLSTATE', 'severity', 'whose', 'text', 'remedy'], errorRows)}
`;

const isCheck = process.argv.includes('--check');
for (const [file, text] of Object.entries({ 'admin.md': admin, 'metrics.md': metrics, 'logs.md': logs })) {
  const target = new URL(`../docs/reference/${file}`, import.meta.url);
  if (!isCheck) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    console.error(`docs/reference/${file} is out of date: node scripts/print-admin-reference.mjs`);
    process.exitCode = 1;
  }
}
