/** The report as Markdown: verdict first, then one table per workload, then what was not measured and the set-up. */
import { type CaseInfo, METRICS, type Metric, type Results, ratioOf, summaryOf } from './results.js';
import type { Summary } from './statistics.js';
import type { Figure } from './verdict.js';

/** A cell must not end its own row. */
export function cell(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

function number(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, digits === 0 ? ' ' : '');
}

/** Median, and the spread over repeats where there is more than one. */
export function withSpread(summary: Summary | null, digits: number): string {
  if (summary === null) return '-';
  const median = number(summary.median, digits);
  if (summary.count === 1) return median;
  return `${median} (${number(summary.min, digits)}..${number(summary.max, digits)})`;
}

function caseTable(results: Results, info: CaseInfo, base: string | null): string {
  const present = (Object.keys(METRICS) as Metric[]).filter((metric) =>
    results.measurements.some((one) => one.caseKey === info.key && one.values[metric] !== undefined),
  );
  const key: Metric | null = present.find((metric) => metric === 'cpuUsPerQuery') ?? null;
  const rows = results.contenders
    .filter(({ key }) =>
      results.measurements.some((one) => one.caseKey === info.key && one.contender === key),
    )
    .map((contender) => {
      const cells = present.map((metric) =>
        withSpread(summaryOf(results, info.key, contender.key, metric), METRICS[metric].digits),
      );
      const ratio =
        base === null || key === null ? null : ratioOf(results, info.key, key, contender.key, base);
      return [contender.label, ...cells, ...(key === null || base === null ? [] : [withSpread(ratio, 2)])];
    });
  const titles = present.map((metric) => METRICS[metric].title);
  const head = ['', ...titles, ...(key === null || base === null ? [] : ['CPU, x PgBouncer'])];
  return `### ${info.title}\n\n${table(head, rows)}`;
}

function setUp(results: Results): string {
  const { environment, settings } = results;
  const rows = [
    ['command', `\`${environment.command}\``],
    ['date', environment.date],
    ['machine', `${environment.cpu}, ${environment.coreCount} cores, ${environment.memoryMb} MB`],
    ['kernel', environment.kernel],
    ['Node', environment.node],
    ...Object.entries(environment.versions),
    ...Object.entries(settings).map(([name, value]) => [name, String(value)]),
  ];
  return `## Set-up\n\n${table(['', ''], rows)}`;
}

const NOTES = `Postgres, the load and the proxy share the machine's cores. Each figure is the median over the repeats, its
spread in brackets; a ratio is taken within a repeat, then the median over repeats. Repeats alternate between the contenders.
Proxy CPU is user and system time of all threads of the proxy's processes from /proc. Latencies are from pgbench's
transaction logs. TPC-B counts seven queries a transaction. PgBouncer is given SCRAM verifiers, which spares it deriving
keys at each login; with SCRAM pgbench itself derives keys for each connection, and may be what limits connections per second:
read the CPU per connection beside it. The server does not wait for its disk (fsync off), so that the proxy's share shows.`;

/** `base` is the contender that ratios refer to, null when it was not measured; `plot` the SVG's file name. */
export function markdown(
  results: Results,
  figures: readonly Figure[],
  base: string | null,
  plot: string,
): string {
  const verdictRows = figures.map((one) => [one.what, one.target, one.measured, one.reached]);
  const reached = figures.filter((one) => one.reached === 'yes').length;
  const measured = figures.filter((one) => one.reached !== 'not measured').length;
  const parts = [
    '# pgdog-cluster bench',
    `${reached} of ${measured} measured targets reached (${figures.length} in all).`,
    NOTES,
    `![Bar plots of the medians](${plot})`,
    `## Targets\n\n${table(['figure', 'target', 'measured', 'reached'], verdictRows)}`,
    '## Measurements',
    ...results.cases.map((info) => caseTable(results, info, base)),
  ];
  if (results.skipped.length > 0) {
    const rows = results.skipped.map(({ what, why }) => [what, why.trim().split('\n').slice(0, 3).join(' ')]);
    parts.push(`## Not measured\n\n${table(['what', 'why'], rows)}`);
  }
  parts.push(setUp(results));
  return `${parts.join('\n\n')}\n`;
}
