import {
  counted,
  formatCount,
  formatPercent,
  type StatusFrame,
  type WorkerStatus,
} from '@pgdog-cluster/core/status';
import { arrange, byId, drawing, element, Keyed, setAttribute, setText } from './dom.js';
import { isTroubled, LaneView } from './lane-view.js';

/** As many databases are drawn unless somebody asks for all. */
const LANES_SHOWN = 12;
/** Of those with more workers, single ones are in `top` and in the metrics. */
const WORKERS_SHOWN = 16;

class WorkerView {
  readonly root: HTMLElement;
  readonly #fill = element('i', { class: 'busy' });
  readonly #busy = element('span', { class: 'worker-busy' });
  readonly #note = element('span', { class: 'worker-note' });

  constructor(number: string) {
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' }, this.#fill);
    const name = element('span', { class: 'worker-name', text: number, 'aria-label': `worker ${number}` });
    this.root = element('li', { class: 'worker' }, name, bar, this.#busy, this.#note);
  }

  show({ busyPercent, clients, state, waiting, restarts }: WorkerStatus): void {
    this.#fill.style.width = `${busyPercent}%`;
    setText(this.#busy, formatPercent(busyPercent));
    const queue = waiting === 0 ? '' : `, ${formatCount(waiting)} waiting`;
    const starts = restarts === 0 ? '' : `, restarted ${restarts}×`;
    const what = state === 'serving' ? counted(clients, 'client', formatCount(clients)) + queue : state;
    setText(this.#note, what + starts);
    setAttribute(this.root, 'class', state === 'serving' ? 'worker' : 'worker bad');
  }
}

/** The cluster as a picture: clients, workers, the pools of each database, its shards with their servers. */
export class ClusterView {
  readonly #clients = element('p', { class: 'node clients' });
  readonly #workersTitle = element('h3', {});
  readonly #workers = element('ul', {});
  readonly #workerBox = element('div', { class: 'node workers' }, this.#workersTitle, this.#workers);
  readonly #workerViews = new Keyed((key) => new WorkerView(key));
  readonly #lanes = element('div', { class: 'lanes' });
  readonly #laneViews = new Keyed((key) => new LaneView(key));
  readonly #more = element('button', { class: 'more', type: 'button' });
  readonly #lines = drawing('svg', { class: 'lines', 'aria-hidden': 'true' });
  readonly #picture: HTMLElement;
  #isWhole = false;
  #shown: LaneView[] = [];
  #frame: StatusFrame | null = null;

  constructor() {
    const source = element('div', { class: 'source' }, this.#clients, this.#workerBox);
    const right = element('div', { class: 'lane-column' }, this.#lanes, this.#more);
    this.#picture = element('div', { class: 'picture' }, this.#lines, source, right);
    byId('cluster').append(this.#picture);
    this.#more.addEventListener('click', () => {
      this.#isWhole = !this.#isWhole;
      if (this.#frame !== null) this.show(this.#frame);
    });
    new ResizeObserver(() => this.#draw()).observe(this.#picture);
  }

  show(frame: StatusFrame): void {
    this.#frame = frame;
    const { totals, workers } = frame;
    setText(this.#clients, counted(totals.clients, 'client', formatCount(totals.clients)));
    const hidden = workers.length - WORKERS_SHOWN;
    const drivers = [...new Set(workers.map(({ ioDriver }) => ioDriver).filter((name) => name !== ''))].join(
      ', ',
    );
    setText(
      this.#workersTitle,
      `${counted(workers.length, 'worker')}${drivers === '' ? '' : ` · ${drivers}`}`,
    );
    const views = workers.slice(0, WORKERS_SHOWN).map((worker) => {
      const view = this.#workerViews.get(String(worker.worker));
      view.show(worker);
      return view.root;
    });
    if (hidden > 0) views.push(element('li', { class: 'worker-rest', text: `and ${hidden} more` }));
    arrange(this.#workers, views);
    this.#showLanes(frame);
    this.#draw();
  }

  #showLanes({ databases }: StatusFrame): void {
    this.#laneViews.keep(new Set(databases.map(({ database }) => database)));
    const troubled = databases.filter(isTroubled);
    const well = databases.filter((database) => !isTroubled(database));
    // In the order of the configuration, so that nothing jumps; those in trouble are never left out.
    const chosen = new Set(this.#isWhole ? databases : [...troubled, ...well].slice(0, LANES_SHOWN));
    this.#shown = databases
      .filter((database) => chosen.has(database))
      .map((database) => {
        const view = this.#laneViews.get(database.database);
        view.show(database);
        return view;
      });
    const views = this.#shown.map(({ root }) => root);
    if (databases.length === 0) {
      views.push(element('p', { class: 'empty', text: 'No database is configured that anybody may enter.' }));
    }
    arrange(this.#lanes, views);
    const rest = databases.filter((database) => !chosen.has(database));
    const bad = rest.filter(isTroubled).length;
    this.#more.hidden = databases.length <= LANES_SHOWN;
    this.#more.setAttribute('aria-expanded', String(this.#isWhole));
    const others = `${counted(rest.length, 'more database')}${bad > 0 ? `, ${bad} in trouble` : ', all well'}: show them`;
    setText(this.#more, this.#isWhole ? 'show fewer' : others);
  }

  /** Where there is room for them: lines as thick as the traffic, on a scale of powers. */
  #draw(): void {
    const frame = this.#frame;
    const base = this.#picture.getBoundingClientRect();
    if (frame === null || getComputedStyle(this.#lines).display === 'none') return;
    this.#lines.setAttribute('viewBox', `0 0 ${base.width} ${base.height}`);
    const links: SVGElement[] = [];
    const from = this.#workerBox.getBoundingClientRect();
    const clients = this.#clients.getBoundingClientRect();
    const middle = clients.left + clients.width / 2 - base.left;
    const thick = thickness(frame.totals.queriesPerS);
    const down = `M${middle} ${clients.bottom - base.top}V${from.top - base.top}`;
    links.push(drawing('path', { d: down, 'stroke-width': thick }));
    for (const lane of this.#shown) {
      const pools = lane.pools.getBoundingClientRect();
      const width = thickness(lane.queriesPerS);
      const tone = lane.root.classList.contains('is-troubled') ? 'troubled' : '';
      const start: Place = { x: from.right - base.left, y: clampTo(from, middleOf(pools)) - base.top };
      links.push(link(start, { x: pools.left - base.left, y: middleOf(pools) - base.top }, width, tone));
      for (const shard of lane.shardElements) {
        const end = shard.getBoundingClientRect();
        const out: Place = { x: pools.right - base.left, y: middleOf(pools) - base.top };
        links.push(link(out, { x: end.left - base.left, y: middleOf(end) - base.top }, width, ''));
      }
    }
    this.#lines.replaceChildren(...links);
  }
}

interface Place {
  x: number;
  y: number;
}

function middleOf({ top, height }: DOMRect): number {
  return top + height / 2;
}

/** A line leaves the box of workers where it is nearest, so that they fan out instead of crossing. */
function clampTo({ top, bottom }: DOMRect, y: number): number {
  return Math.max(top + 12, Math.min(bottom - 12, y));
}

/** 1 without traffic, 5 with ten thousand a second. */
function thickness(perS: number): number {
  return Math.min(6, 1 + Math.log10(1 + perS));
}

function link(from: Place, to: Place, width: number, tone: string): SVGElement {
  const bend = (from.x + to.x) / 2;
  const d = `M${from.x} ${from.y}C${bend} ${from.y} ${bend} ${to.y} ${to.x} ${to.y}`;
  return drawing('path', { d, 'stroke-width': width, class: tone });
}
