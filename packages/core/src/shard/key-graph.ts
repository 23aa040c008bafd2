import { isSameRule, type KeyInfo, widerType } from './key-family.js';
import type { KeyPin, KeySource } from './shard-reading.js';
import type { ShardingSnapshot } from './sharding-snapshot.js';

/*
 * Keys of table references, and of columns that queries show, as nodes. An edge from u to v says: of v only rows count
 * whose key equals the one of a row of u that counts. A pin says: of this node only rows of these keys count. So whatever
 * pins u pins v, and not the other way round, unless there is an edge back.
 */

interface KeyNode {
  readonly info: KeyInfo;
  readonly isTable: boolean;
  readonly pins: KeyPin[];
  readonly next: Set<number>;
}

/** Table references that follow one of them. */
export interface ResolvedGroup {
  readonly info: KeyInfo;
  readonly pins: readonly KeyPin[];
  /** Nodes of which all others of the group follow. */
  readonly roots: ReadonlySet<number>;
}

/** Beyond, a statement is not looked through. */
export const KEY_NODES_MAX = 500;

export class KeyGraph {
  readonly #nodes: KeyNode[] = [];
  readonly #sharding: ShardingSnapshot;

  constructor(sharding: ShardingSnapshot) {
    this.#sharding = sharding;
  }

  get size(): number {
    return this.#nodes.length;
  }

  info(node: number): KeyInfo {
    return this.#nodes[node].info;
  }

  add(info: KeyInfo, isTable: boolean): number {
    return this.#nodes.push({ info, isTable, pins: [], next: new Set() }) - 1;
  }

  pin(node: number, sources: readonly KeySource[]): void {
    this.#nodes[node].pins.push({ sources });
  }

  /** Keys that are not on the same shard when they are equal say nothing of each other. */
  link(from: number, to: number): void {
    const nodes = this.#nodes;
    if (from !== to && isSameRule(nodes[from].info, nodes[to].info, this.#sharding)) nodes[from].next.add(to);
  }

  /** Takes all edges away from and to a node about which something turned out to be untrue. */
  isolate(node: number): void {
    this.#nodes[node].next.clear();
    for (const { next } of this.#nodes) next.delete(node);
  }

  reaches(from: number, to: number): boolean {
    return this.#reach(from).has(to);
  }

  /** @param isCertain whether a pin can be believed, now that all is read */
  groups(isCertain: (pin: KeyPin, info: KeyInfo) => boolean): ResolvedGroup[] {
    const reach = this.#nodes.map((_, node) => this.#reach(node));
    const pins = this.#nodes.map(({ info, pins }) => pins.filter((pin) => isCertain(pin, info)));
    // In order of number: what a column of a query says of the tables behind it counts only if something pins it.
    const ignored = new Set<number>();
    const groups = new Map<number, ResolvedGroup>();
    for (const [table, { isTable }] of this.#nodes.entries()) {
      if (!isTable) continue;
      const root = this.#rootOf(table, reach, pins, ignored);
      if (!groups.has(root)) groups.set(root, this.#group(root, reach, pins));
    }
    return [...groups.values()];
  }

  /** A node from which the table follows, and that follows of nothing further. */
  #rootOf(
    table: number,
    reach: readonly ReadonlySet<number>[],
    pins: readonly (readonly KeyPin[])[],
    ignored: Set<number>,
  ): number {
    for (;;) {
      const before = reach.flatMap((reached, node) =>
        reached.has(table) && !ignored.has(node) ? [node] : [],
      );
      const root = before.find((node) =>
        before.every((other) => !reach[other].has(node) || reach[node].has(other)),
      );
      if (root === undefined) return table;
      const component = before.filter((node) => reach[root].has(node) && reach[node].has(root));
      if (component.some((node) => this.#nodes[node].isTable || pins[node].length > 0))
        return Math.min(...component);
      for (const node of component) ignored.add(node);
    }
  }

  #group(
    root: number,
    reach: readonly ReadonlySet<number>[],
    pins: readonly (readonly KeyPin[])[],
  ): ResolvedGroup {
    const roots = new Set([...reach[root]].filter((node) => reach[node].has(root)));
    const nodes = [...roots].map((node) => this.#nodes[node]);
    const label = (nodes.find(({ isTable }) => isTable) ?? nodes[0]).info;
    const keyType = nodes.reduce((type, { info }) => widerType(type, info.keyType), label.keyType);
    return { info: { ...label, keyType }, pins: [...roots].flatMap((node) => pins[node]), roots };
  }

  #reach(from: number): Set<number> {
    const reached = new Set([from]);
    const stack = [from];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const next of this.#nodes[node].next) {
        if (reached.has(next)) continue;
        reached.add(next);
        stack.push(next);
      }
    }
    return reached;
  }
}
