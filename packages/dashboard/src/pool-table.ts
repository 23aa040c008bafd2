import { formatCount, formatUs, type PoolStatus, type StatusFrame } from '@pgdog-cluster/core/status';
import { arrange, byId, element, Keyed, setText } from './dom.js';
import { OccupancyMeter } from './meter.js';

interface Column {
  name: string;
  /** Where there is no room for it: on a phone (`minor`), or in half a window already (`lesser`). */
  rank: '' | 'minor' | 'lesser minor';
  text: (pool: PoolStatus) => string;
  /** What it is sorted by; texts go up, numbers down. */
  key: (pool: PoolStatus) => string | number;
}

const COLUMNS: readonly Column[] = [
  {
    name: 'database',
    rank: '',
    text: ({ database }) => database,
    key: ({ database }) => database,
  },
  { name: 'user', rank: 'minor', text: ({ user }) => user, key: ({ user }) => user },
  {
    name: 'server',
    rank: 'minor',
    text: ({ host, port, role, shard }) => `${host}:${port} ${role}${shard > 0 ? `, shard ${shard}` : ''}`,
    key: ({ host, port }) => `${host}:${port}`,
  },
  { name: 'connections', rank: '', text: () => '', key: (pool) => pool.active / Math.max(1, pool.limit) },
  {
    name: 'waiting',
    rank: 'minor',
    text: ({ waiting }) => formatCount(waiting),
    key: ({ waiting }) => waiting,
  },
  {
    name: 'queries/s',
    rank: '',
    text: ({ queriesPerS }) => formatCount(queriesPerS),
    key: ({ queriesPerS }) => queriesPerS,
  },
  {
    name: 'p50',
    rank: 'lesser minor',
    text: ({ p50Us }) => formatUs(p50Us),
    key: ({ p50Us }) => p50Us ?? -1,
  },
  { name: 'p99', rank: '', text: ({ p99Us }) => formatUs(p99Us), key: ({ p99Us }) => p99Us ?? -1 },
  {
    name: 'p99 of waits',
    rank: 'lesser minor',
    text: ({ waitP99Us }) => formatUs(waitP99Us),
    key: ({ waitP99Us }) => waitP99Us ?? -1,
  },
  {
    name: 'errors/s',
    rank: 'lesser minor',
    text: ({ errorsPerS }) => formatCount(errorsPerS),
    key: ({ errorsPerS }) => errorsPerS,
  },
];

const SERVER_COLUMN = 2;
const METER_COLUMN = 3;
const TEXT_COLUMNS = 3;
/** By queries per second, of which somebody wants to see the most. */
const FIRST_SORT = 5;
const ROWS_SHOWN = 50;
/** Rows keep their places that long: what moves under the eyes cannot be read. */
const ORDER_KEPT_MS = 5000;

class PoolRow {
  readonly root = element('tr', {});
  readonly #cells: HTMLElement[];
  readonly #meter = new OccupancyMeter();
  readonly #name = element('span', {});
  /** User and server once more, where their columns are left out: pools of one database look alike otherwise. */
  readonly #place = element('span', { class: 'narrow-place' });

  constructor() {
    this.#cells = COLUMNS.map(({ rank }, index) => {
      const kind = index < TEXT_COLUMNS || index === METER_COLUMN ? 'text' : 'number';
      const traits = { class: `${kind} ${rank}` };
      return index === 0 ? element('th', { ...traits, scope: 'row' }) : element('td', traits);
    });
    this.#cells[0].append(this.#name, this.#place);
    this.#cells[METER_COLUMN].append(this.#meter.root);
    this.root.append(...this.#cells);
  }

  show(pool: PoolStatus): void {
    COLUMNS.forEach(({ text }, index) => {
      if (index !== METER_COLUMN && index > 0) setText(this.#cells[index], text(pool));
    });
    setText(this.#name, pool.database);
    setText(this.#place, `${pool.user}, ${COLUMNS[SERVER_COLUMN].text(pool)}`);
    this.#meter.show(pool);
    this.root.classList.toggle('is-troubled', pool.waiting > 0);
  }
}

/** All pools, found by a part of their names and sorted by any column. */
export class PoolTable {
  readonly #body = element('tbody', {});
  readonly #rows = new Keyed(() => new PoolRow());
  readonly #heads: HTMLElement[];
  readonly #scroll: HTMLElement;
  readonly #count = element('p', { class: 'count' });
  readonly filter = element('input', {
    type: 'search',
    placeholder: 'database, user or server',
    'aria-label': 'find pools by database, user or server',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  #sort = FIRST_SORT;
  #isReversed = false;
  #order = new Map<number, number>();
  #orderedMs = 0;
  #frame: StatusFrame | null = null;

  constructor() {
    this.#heads = COLUMNS.map(({ name, rank }, index) => {
      const button = element('button', { type: 'button', text: name });
      button.addEventListener('click', () => this.#sortBy(index));
      const kind = index < TEXT_COLUMNS || index === METER_COLUMN ? 'text' : 'number';
      return element('th', { class: `${kind} ${rank}`, scope: 'col' }, button);
    });
    const table = element('table', {}, element('thead', {}, element('tr', {}, ...this.#heads)), this.#body);
    this.#scroll = element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'pools' },
      table,
    );
    byId('pools').append(element('div', { class: 'tools' }, this.filter, this.#count), this.#scroll);
    this.filter.addEventListener('input', () => this.#again());
    this.#markSort();
  }

  show(frame: StatusFrame): void {
    this.#frame = frame;
    const needle = this.filter.value.trim().toLowerCase();
    const found = frame.pools.filter(({ database, user, host, port }) =>
      `${database}\n${user}\n${host}:${port}`.toLowerCase().includes(needle),
    );
    this.#sorted(found);
    this.#rows.keep(new Set(frame.pools.map(({ id }) => String(id))));
    const rows = found.slice(0, ROWS_SHOWN).map((pool) => {
      const row = this.#rows.get(String(pool.id));
      row.show(pool);
      return row.root;
    });
    arrange(this.#body, rows);
    this.#scroll.hidden = rows.length === 0;
    setText(this.#count, this.#countText(rows.length, frame.poolCount, needle !== ''));
  }

  #countText(shown: number, all: number, isFiltered: boolean): string {
    if (all === 0) return 'no pools';
    if (shown === all) return all === 1 ? '1 pool' : `${all} pools`;
    return isFiltered ? `${shown} of ${all} pools found` : `${shown} of ${all} pools`;
  }

  #sortBy(index: number): void {
    this.#isReversed = index === this.#sort && !this.#isReversed;
    this.#sort = index;
    this.#markSort();
    this.#again();
  }

  #again(): void {
    this.#orderedMs = 0;
    if (this.#frame !== null) this.show(this.#frame);
  }

  #markSort(): void {
    const isText = this.#sort < TEXT_COLUMNS;
    const direction = isText === this.#isReversed ? 'descending' : 'ascending';
    this.#heads.forEach((head, index) => {
      if (index === this.#sort) head.setAttribute('aria-sort', direction);
      else head.removeAttribute('aria-sort');
    });
  }

  #sorted(pools: PoolStatus[]): void {
    const nowMs = performance.now();
    if (this.#orderedMs === 0 || nowMs - this.#orderedMs > ORDER_KEPT_MS) {
      const { key } = COLUMNS[this.#sort];
      const sign = this.#isReversed ? -1 : 1;
      pools.sort((a, b) => sign * compare(key(a), key(b)) || a.id - b.id);
      this.#order = new Map(pools.map(({ id }, place) => [id, place]));
      this.#orderedMs = nowMs;
      return;
    }
    const place = ({ id }: PoolStatus) => this.#order.get(id) ?? Number.MAX_SAFE_INTEGER;
    pools.sort((a, b) => place(a) - place(b));
  }
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'string') return a.localeCompare(String(b), undefined, { numeric: true });
  return Number(b) - a;
}
