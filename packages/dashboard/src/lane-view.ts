import { type DatabaseStatus, formatCount, formatUs } from '@pgdog-cluster/core/status';
import { arrange, element, Keyed, setAttribute, setText } from './dom.js';
import { HostView, hostTone } from './host-view.js';
import { OccupancyMeter } from './meter.js';

class ShardView {
  readonly root: HTMLElement;
  readonly #title = element('h4', {});
  readonly #list = element('ul', {});
  readonly #hosts = new Keyed(() => new HostView());

  constructor() {
    this.root = element('div', { class: 'shard' }, this.#title, this.#list);
  }

  show({ shard, hosts }: DatabaseStatus['shards'][number], isOnly: boolean): void {
    this.#title.hidden = isOnly;
    setText(this.#title, `shard ${shard}`);
    const keys = hosts.map(({ host, port }) => `${host} ${port}`);
    this.#hosts.keep(new Set(keys));
    const views = hosts.map((host, index) => {
      const view = this.#hosts.get(keys[index]);
      view.show(host);
      return view.root;
    });
    arrange(this.#list, views);
  }
}

/** Must somebody look at it? */
export function isTroubled({ waiting, shards }: DatabaseStatus): boolean {
  return waiting > 0 || shards.some(({ hosts }) => hosts.some((host) => hostTone(host) !== 'good'));
}

/** One database: its pools on the left, its shards with their servers on the right. */
export class LaneView {
  readonly root: HTMLElement;
  readonly pools: HTMLElement;
  readonly #rate = element('span', { class: 'rate' });
  readonly #meter = new OccupancyMeter();
  readonly #shards = element('div', { class: 'shards' });
  readonly #views = new Keyed(() => new ShardView());
  queriesPerS = 0;

  constructor(database: string) {
    const title = element('h3', { text: database, title: database });
    this.pools = element('div', { class: 'lane-pools' }, title, this.#rate, this.#meter.root);
    this.root = element('article', { class: 'lane' }, this.pools, this.#shards);
  }

  /** Where lines end. */
  get shardElements(): Element[] {
    return [...this.#shards.children];
  }

  show(database: DatabaseStatus): void {
    const { queriesPerS, p99Us, shards } = database;
    this.queriesPerS = queriesPerS;
    const latency = p99Us === null ? '' : `, p99 ${formatUs(p99Us)}`;
    setText(this.#rate, `${formatCount(queriesPerS)} q/s${latency}`);
    this.#meter.show(database);
    const views = shards.map((shard) => {
      const view = this.#views.get(String(shard.shard));
      view.show(shard, shards.length === 1);
      return view.root;
    });
    arrange(this.#shards, views);
    setAttribute(this.root, 'class', isTroubled(database) ? 'lane is-troubled' : 'lane');
  }
}
