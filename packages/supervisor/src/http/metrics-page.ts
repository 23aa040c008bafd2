import { LATENCY_BUCKETS, type PoolSnapshot } from '@pgdog-cluster/core';
import { boundText, ENDS, type Exposition, familyOf, helpText } from './exposition.js';
import {
  FIRST_BUCKET,
  LAST_BUCKET,
  LATENCY_BOUNDS_SECONDS,
  type LatencyMetric,
} from './latency-histogram.js';
import { type Labels, type Metric, poolLabels, type Scrape } from './metric.js';
import { PageWriter } from './page-writer.js';

/** Quotes, backslashes and line ends are the only ones that mean something within a label. */
function escapeLabel(value: string): string {
  // Nearly none of them has one of these.
  if (!value.includes('\\') && !value.includes('"') && !value.includes('\n')) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function labelText(labels: Labels): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${escapeLabel(labels[name])}"`;
  return text;
}

interface PoolText {
  role: string;
  /** Labels, the brace that ends them, and a blank. */
  bytes: Buffer;
}

/** Prefixes of the bucket lines of one histogram. */
interface LatencyHeads {
  buckets: Buffer[];
  sum: Buffer;
  count: Buffer;
}

/** Letters, digits and _, no digit first: what Prometheus takes, less the colon, which is for rules. */
export function isMetricName(name: string): boolean {
  const isLetter = (unit: string) =>
    (unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z') || unit === '_';
  const isDigit = (unit: string) => unit >= '0' && unit <= '9';
  return name !== '' && !isDigit(name[0]) && [...name].every((unit) => isLetter(unit) || isDigit(unit));
}

/** Writes scrapes as text. What does not change from page to page is kept as bytes: heads, and the labels of pools. */
export class MetricsPage {
  readonly #metrics: readonly { metric: Metric; head: Buffer; start: Buffer }[];
  readonly #histograms: readonly { metric: LatencyMetric; head: Buffer; heads: LatencyHeads }[];
  #labels = new WeakMap<PoolSnapshot, PoolText>();
  #lastBytes = 0;

  readonly #end: Buffer;

  constructor(
    metrics: readonly Metric[],
    histograms: readonly LatencyMetric[],
    prefix: string,
    exposition: Exposition,
  ) {
    this.#end = ENDS[exposition];
    const headOf = (name: string, type: string, help: string) => {
      const family = familyOf(exposition, `${prefix}${name}`, type);
      const words = helpText(exposition, help);
      return Buffer.from(`# HELP ${family.name} ${words}\n# TYPE ${family.name} ${family.type}\n`);
    };
    const bounds = [...LATENCY_BOUNDS_SECONDS.map((bound) => boundText(exposition, bound)), '+Inf'];
    this.#metrics = metrics.map((metric) => ({
      metric,
      head: headOf(metric.name, metric.type, metric.help),
      start: Buffer.from(`${prefix}${metric.name}${metric.ofPool === undefined ? '' : '{'}`),
    }));
    this.#histograms = histograms.map((metric) => {
      const name = `${prefix}${metric.name}`;
      const buckets = bounds.map((le) => Buffer.from(`${name}_bucket{le="${le}",`));
      const heads = { buckets, sum: Buffer.from(`${name}_sum{`), count: Buffer.from(`${name}_count{`) };
      return { metric, head: headOf(metric.name, 'histogram', metric.help), heads };
    });
  }

  write(scrape: Scrape): Buffer {
    const page = new PageWriter(Math.ceil(this.#lastBytes * 1.05));
    const labels = scrape.pools.map(({ figures }) => this.#labelsOf(figures.pool, poolLabels(figures)));
    for (const { metric, head, start } of this.#metrics) {
      page.copy(head);
      if (metric.ofPool === undefined) writeSamples(page, metric, start, scrape);
      else writePools(page, metric.ofPool, start, scrape, labels);
    }
    for (const { metric, head, heads } of this.#histograms) {
      page.copy(head);
      scrape.pools.forEach(({ figures }, index) => {
        writeLatencies(page, figures.counters, metric, heads, labels[index]);
      });
    }
    page.copy(this.#end);
    const bytes = page.end();
    this.#lastBytes = bytes.length;
    return bytes;
  }

  #labelsOf(pool: PoolSnapshot, labels: Labels): Buffer {
    const known = this.#labels.get(pool);
    // The role is measured; all else belongs to the snapshot's pool.
    if (known !== undefined && known.role === labels.role) return known.bytes;
    const bytes = Buffer.from(`${labelText(labels)}} `);
    this.#labels.set(pool, { role: labels.role, bytes });
    return bytes;
  }
}

const LINE_END = Buffer.from('\n');

function writeSamples(page: PageWriter, { samples }: Metric, start: Buffer, scrape: Scrape): void {
  for (const [labels, value] of samples(scrape)) {
    page.copy(start);
    const text = labelText(labels);
    page.text(text === '' ? ' ' : `{${text}} `);
    page.number(value);
    page.copy(LINE_END);
  }
}

function writePools(
  page: PageWriter,
  ofPool: NonNullable<Metric['ofPool']>,
  start: Buffer,
  { pools }: Scrape,
  labels: readonly Buffer[],
): void {
  for (let index = 0; index < pools.length; index++) {
    const { figures, change } = pools[index];
    page.line(start, labels[index], ofPool(figures, change));
  }
}

/** Cumulative counts as the text format wants them, then sum and count. */
function writeLatencies(
  page: PageWriter,
  counters: readonly number[],
  { start, sum }: LatencyMetric,
  heads: LatencyHeads,
  labels: Buffer,
): void {
  let count = 0;
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
    count += counters[start + bucket];
    if (bucket >= FIRST_BUCKET && bucket <= LAST_BUCKET)
      page.line(heads.buckets[bucket - FIRST_BUCKET], labels, count);
  }
  page.line(heads.buckets[LATENCY_BOUNDS_SECONDS.length], labels, count);
  page.line(heads.sum, labels, counters[sum] / 1e6);
  // Of the buckets, not of another counter: rows are read while they are written, and +Inf must equal count.
  page.line(heads.count, labels, count);
}
