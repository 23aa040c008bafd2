import { isSqlNode, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import { fieldsOf } from './value-facts.js';

/**
 * Numbers of trees: two have the same one if they are the same, wherever they stand in the text. Each part is looked at once,
 * so that all parts of a large tree may be asked for.
 */
export class NodeIds {
  /** Of what a tree is made of, its parts being numbers. */
  readonly #known = new Map<string, number>();
  readonly #seen = new WeakMap<object, number>();

  of(value: SqlValue): number {
    if (!Array.isArray(value) && !isSqlNode(value)) return this.#numbered(JSON.stringify(value) ?? '');
    const seen = this.#seen.get(value);
    if (seen !== undefined) return seen;
    const id = this.#numbered(this.#madeOf(value));
    this.#seen.set(value, id);
    return id;
  }

  #madeOf(value: readonly SqlValue[] | SqlNode): string {
    if (Array.isArray(value)) return `[${value.map((item: SqlValue) => this.of(item)).join()}]`;
    const node = value as SqlNode;
    return `{${fieldsOf(node)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${this.of(node[key])}`)}}`;
  }

  #numbered(made: string): number {
    const known = this.#known.get(made);
    if (known !== undefined) return known;
    this.#known.set(made, this.#known.size);
    return this.#known.size - 1;
  }
}
