import {
  formatBytes,
  formatCount,
  formatPercent,
  formatSpan,
  formatUs,
  type HistoryPoint,
  type StatusFrame,
} from '@pgdog-cluster/core/status';
import { fit, plainText } from './plain-text.js';
import { TOP_VIEWS, type TopRow } from './views.js';

export interface TopState {
  frame: StatusFrame | null;
  history: readonly HistoryPoint[];
  /** What stands in the corner: live, paused, or what is wrong with the connection. */
  link: string;
  view: number;
  sort: number;
  isReversed: boolean;
  /** First row that is shown. */
  offset: number;
}

export interface TopSize {
  columns: number;
  /** Null: as many as there are. */
  rows: number | null;
}

export type Tone = 'plain' | 'strong' | 'dim' | 'head' | 'bad';

export interface ScreenLine {
  text: string;
  tone: Tone;
}

const SPARKS = ' ▁▂▃▄▅▆▇█';
const KEYS = 'q quit  1-4 view  </> sort by  r reverse  p pause  arrows scroll';

function line(text: string, tone: Tone = 'plain'): ScreenLine {
  return { text, tone };
}

/** One screen, as lines of at most `columns` characters. Pure: the same state gives the same lines. */
export function topScreen(state: TopState, size: TopSize): ScreenLine[] {
  const { frame, link } = state;
  const columns = Math.max(20, size.columns);
  if (frame === null) return [line(fit(`pgdog-cluster  ${link}`, columns), 'strong')];
  const head = headLines(state, frame, columns);
  const table = tableLines(state, frame, columns);
  if (size.rows === null) return [...head, ...table];
  const foot = line(fit(KEYS, columns), 'dim');
  const room = Math.max(0, size.rows - head.length - 2);
  const [title, ...rows] = table;
  const offset = Math.max(0, Math.min(state.offset, rows.length - room));
  const shown = [...head, title, ...rows.slice(offset, offset + room)];
  while (shown.length < size.rows - 1) shown.push(line(' '.repeat(columns)));
  // A terminal of a few lines gets the first of them.
  return [...shown, foot].slice(0, size.rows);
}

function headLines(state: TopState, frame: StatusFrame, columns: number): ScreenLine[] {
  const { totals } = frame;
  const left = `pgdog-cluster ${frame.version}  ${frame.unready ?? 'serving'}  up ${formatSpan(frame.atMs - frame.startedMs)}  configuration ${frame.epoch}`;
  const link = ` ${plainText(state.link)}`;
  const limit = (value: number) => (value === 0 ? '' : ` of ${formatCount(value)}`);
  const us = (value: number | null) => formatUs(value).replace('–', '-');
  const rates = `queries ${formatCount(totals.queriesPerS)}/s  p50 ${us(totals.p50Us)}  p99 ${us(totals.p99Us)}  errors ${formatCount(totals.errorsPerS)}/s  waiting ${formatCount(totals.waiting)}`;
  const use = `clients ${formatCount(totals.clients)}${limit(totals.clientLimit)}  servers ${formatCount(totals.servers)}${limit(totals.serverLimit)}  out ${formatBytes(totals.sentPerS)}/s  in ${formatBytes(totals.receivedPerS)}/s  CPU ${formatPercent(totals.cpuPercent)}`;
  const trouble = troubleOf(frame);
  const isWell = frame.unready === null;
  return [
    line(fit(left, columns - link.length) + link, isWell ? 'strong' : 'bad'),
    line(fit(rates, columns), totals.waiting > 0 ? 'bad' : 'plain'),
    line(fit(use, columns)),
    line(fit(`busy ${workerText(frame)}`, columns)),
    line(fit(sparkline(state.history, columns), columns)),
    line(fit(trouble === '' ? ' ' : plainText(trouble), columns), trouble === '' ? 'plain' : 'bad'),
  ];
}

function workerText({ workers }: StatusFrame): string {
  return workers.map(({ busyPercent }) => formatPercent(busyPercent).replace(' ', '').padStart(4)).join(' ');
}

/** Queries per second of the last minutes, one column for each second. */
function sparkline(history: readonly HistoryPoint[], columns: number): string {
  const label = 'q/s  ';
  const points = history.slice(-Math.max(1, columns - label.length - 12));
  const max = Math.max(1, ...points.map(({ queriesPerS }) => queriesPerS));
  const signs = points.map(({ queriesPerS }) => SPARKS[Math.ceil((8 * queriesPerS) / max)]);
  return `${label}${signs.join('')} max ${formatCount(max)}`;
}

/** Servers that somebody must look at, and clients that are held. */
function troubleOf({ databases, held, workers, reload }: StatusFrame): string {
  const failing = new Set<string>();
  const banned = new Set<string>();
  for (const { host, port, health, ban } of databases.flatMap(({ shards }) =>
    shards.flatMap(({ hosts }) => hosts),
  )) {
    if (health === 'failing') failing.add(`${host}:${port}`);
    else if (ban !== '') banned.add(`${host}:${port} (${ban})`);
  }
  const down = workers.filter(({ state }) => state !== 'serving').length;
  const parts = [
    failing.size > 0 ? `failing: ${[...failing].join(', ')}` : '',
    banned.size > 0 ? `banned: ${[...banned].join(', ')}` : '',
    held.length > 0 ? `held: ${held.join(', ')}` : '',
    reload.error === '' ? '' : `reload failed: ${reload.error}`,
    down > 0 ? `${down} of ${workers.length} workers do not serve` : '',
  ];
  return parts.filter((part) => part !== '').join('  ');
}

function tableLines(
  { view: index, sort, isReversed }: TopState,
  frame: StatusFrame,
  columns: number,
): ScreenLine[] {
  const view = TOP_VIEWS[index];
  const fixed = view.heads.reduce((sum, { width }) => sum + width, 0) + view.heads.length - 1;
  const free = Math.max(8, columns - fixed);
  const widths = view.heads.map(({ width }) => (width === 0 ? free : width));
  const rowText = (cells: readonly string[]) =>
    fit(cells.map((cell, i) => fit(cell, widths[i], view.heads[i].isRight)).join(' '), columns);
  const heads = view.heads.map(({ head }, i) => (i === sort ? `${head}${isReversed ? '-' : '+'}` : head));
  const toLine = ({ cells, isBad }: TopRow) => line(rowText(cells), isBad ? 'bad' : 'plain');
  const rows = view.rows(frame, sort, isReversed).map(toLine);
  if (rows.length === 0) rows.push(line(fit(`no ${view.name}`, columns), 'dim'));
  return [line(rowText(heads), 'head'), ...rows];
}
