import {
  formatCount,
  formatPercent,
  formatUs,
  type ShapeStatus,
  type StatusFrame,
} from '@pgdog-cluster/core/status';
import { arrange, byId, element, Keyed, setText } from './dom.js';

const HEADS = ['statement', 'share of time', 'calls', 'mean', 'p99', 'longest', 'rows', 'errors'] as const;
const MINOR = new Set(['longest', 'rows', 'errors', 'calls', 'mean']);

function kindOf(head: string): string {
  return `${head === 'statement' ? 'text' : 'number'}${MINOR.has(head) ? ' minor' : ''}`;
}

class ShapeRow {
  readonly root: HTMLElement;
  readonly #line = element('code', {});
  readonly #whole = element('pre', {});
  readonly #where = element('span', { class: 'where' });
  readonly #cells = HEADS.slice(1).map((head) => element('td', { class: kindOf(head) }));

  constructor() {
    const details = element('details', {}, element('summary', {}, this.#line), this.#whole);
    const head = element('th', { class: 'text statement', scope: 'row' }, details, this.#where);
    this.root = element('tr', {}, head, ...this.#cells);
  }

  show(shape: ShapeStatus, allUs: number): void {
    const { query, database, route, calls, meanUs, p99Us, maxUs, totalUs, rows, errors } = shape;
    setText(this.#line, query.replaceAll('\n', ' '));
    setText(this.#whole, query);
    setText(this.#where, route === null ? database : `${database}, ${route}`);
    const share = formatPercent(allUs === 0 ? 0 : (100 * totalUs) / allUs);
    const texts = [share, formatCount(calls), formatUs(meanUs), formatUs(p99Us), formatUs(maxUs)];
    [...texts, formatCount(rows), formatCount(errors)].forEach((text, index) => {
      setText(this.#cells[index], text);
    });
  }
}

/** Statements by what they have taken since the start, without their literals. */
export class ShapeTable {
  readonly #body = element('tbody', {});
  readonly #rows = new Keyed(() => new ShapeRow());
  readonly #empty = element('p', { class: 'empty' });
  readonly #scroll: HTMLElement;

  constructor() {
    const heads = HEADS.map((name) => element('th', { class: kindOf(name), scope: 'col', text: name }));
    const table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), this.#body);
    this.#scroll = element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'statements' },
      table,
    );
    byId('shapes').append(this.#empty, this.#scroll);
  }

  show({ shapes }: StatusFrame): void {
    this.#scroll.hidden = shapes === null || shapes.length === 0;
    this.#empty.hidden = !this.#scroll.hidden;
    setText(this.#empty, shapes === null ? 'The workers are being asked.' : 'No statement has run yet.');
    if (shapes === null) return;
    const allUs = shapes.reduce((sum, { totalUs }) => sum + totalUs, 0);
    const keys = shapes.map(({ database, query }) => JSON.stringify([database, query]));
    this.#rows.keep(new Set(keys));
    const rows = shapes.map((shape, index) => {
      const row = this.#rows.get(keys[index]);
      row.show(shape, allUs);
      return row.root;
    });
    arrange(this.#body, rows);
  }
}
