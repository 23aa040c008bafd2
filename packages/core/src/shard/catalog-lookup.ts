import type { EnumLabels } from '../merge/enum-order.js';
import type {
  CatalogReference,
  CatalogRelation,
  FoundRelation,
  RelationLookup,
  ShardCatalogData,
  TextOrder,
} from './shard-catalog.js';

const SYSTEM: FoundRelation = { kind: 'system' };
const UNKNOWN: FoundRelation = { kind: 'unknown' };
const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema', 'pg_toast']);

const keyOf = (schema: string, name: string): string => `${schema}\0${name}`;

/** Relations by what a session with this search_path means by their names. */
export function catalogLookup(data: ShardCatalogData, searchPath: readonly string[]): RelationLookup {
  return new CatalogLookup(data, searchPath);
}

class CatalogLookup implements RelationLookup {
  readonly textOrder: TextOrder | null;
  readonly hasOwnOids: boolean;
  readonly enums: EnumLabels | null;
  readonly #functions: ReadonlySet<string>;
  readonly #nullable = new Set<string>();
  readonly #relations = new Map<string, FoundRelation>();
  readonly #referencing = new Map<string, CatalogReference[]>();
  readonly #parents = new Set<string>();
  readonly #path: readonly string[];

  constructor(data: ShardCatalogData, searchPath: readonly string[]) {
    this.textOrder = data.textOrder;
    this.hasOwnOids = data.oids !== undefined;
    this.enums =
      data.enums === undefined ? null : new Map(data.enums.map(({ oid, labels }) => [oid, labels]));
    this.#functions = new Set(data.functions.map(([, name]) => name));
    this.#path = searchPath.includes('pg_catalog') ? searchPath : ['pg_catalog', ...searchPath];
    const byName = new Map(data.relations.map((each) => [keyOf(each.schema, each.name), each]));
    for (const { parents } of data.relations) {
      for (const [schema, name] of parents) this.#parents.add(keyOf(schema, name));
    }
    for (const [key, relation] of byName) {
      const inherited = withParents(relation, byName);
      this.#relations.set(key, inherited);
    }
    this.#noteNullable(byName);
    this.#addMixedParents(data, byName);
    this.#addReferences(byName);
    for (const { schema, name, text } of data.differences) {
      this.#relations.set(keyOf(schema, name), { kind: 'different', text });
    }
  }

  find(schema: string | null, name: string): FoundRelation {
    if (schema !== null) return this.#in(schema, name);
    for (const each of this.#path) {
      const found = this.#relations.get(keyOf(each, name));
      if (found !== undefined) return found;
    }
    // Of pg_catalog not all names are known here.
    return name.startsWith('pg_') ? SYSTEM : UNKNOWN;
  }

  referencing(schema: string, name: string): readonly CatalogReference[] {
    return this.#referencing.get(keyOf(schema, name)) ?? [];
  }

  holdsNotNull({ schema, name, kind }: CatalogRelation): boolean {
    return kind !== 'foreignTable' && !this.#nullable.has(keyOf(schema, name));
  }

  hasFunction(name: string): boolean {
    return this.#functions.has(name);
  }

  hasChildren(schema: string, name: string): boolean {
    return this.#parents.has(keyOf(schema, name));
  }

  #in(schema: string, name: string): FoundRelation {
    const found = this.#relations.get(keyOf(schema, name));
    if (found !== undefined) return found;
    return SYSTEM_SCHEMAS.has(schema) ? SYSTEM : UNKNOWN;
  }

  /** Nobody holds foreign tables to NOT NULL, and children that are no partitions need not have it. */
  #noteNullable(byName: ReadonlyMap<string, CatalogRelation>): void {
    for (const relation of byName.values()) {
      const isForeign = relation.kind === 'foreignTable';
      for (const { schema, name, kind } of ancestors(relation, byName))
        if (isForeign || kind !== 'partitioned') this.#nullable.add(keyOf(schema, name));
    }
  }

  /** A foreign key to a table is one to its partitions as well. */
  #addReferences(byName: ReadonlyMap<string, CatalogRelation>): void {
    const related = new Map([...byName.keys()].map((key) => [key, new Set([key])]));
    for (const [key, relation] of byName) {
      for (const parent of ancestors(relation, byName)) {
        const parentKey = keyOf(parent.schema, parent.name);
        related.get(key)?.add(parentKey);
        related.get(parentKey)?.add(key);
      }
    }
    for (const found of this.#relations.values()) {
      if (found.kind !== 'relation') continue;
      const { relation } = found;
      for (const foreignKey of relation.foreignKeys) {
        for (const key of related.get(keyOf(foreignKey.schema, foreignKey.table)) ?? []) {
          const references = this.#referencing.get(key) ?? [];
          references.push({ relation, foreignKey });
          this.#referencing.set(key, references);
        }
      }
    }
  }

  /** A table that is whole on each shard cannot have children whose rows are spread: who reads it reads them. */
  #addMixedParents(data: ShardCatalogData, byName: ReadonlyMap<string, CatalogRelation>): void {
    for (const child of data.relations) {
      const own = this.#relations.get(keyOf(child.schema, child.name));
      const isSharded = own?.kind === 'relation' && own.relation.placement === 'sharded';
      if (!isSharded && own?.kind !== 'different') continue;
      for (const parent of ancestors(child, byName)) {
        if (parent.placement === 'sharded') continue;
        const text = `its child "${child.name}" is sharded, and it is not`;
        this.#relations.set(keyOf(parent.schema, parent.name), { kind: 'different', text });
      }
    }
  }
}

function ancestors(
  relation: CatalogRelation,
  byName: ReadonlyMap<string, CatalogRelation>,
): CatalogRelation[] {
  const found = new Set<CatalogRelation>();
  const stack = [relation];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    for (const [schema, name] of at.parents) {
      const parent = byName.get(keyOf(schema, name));
      if (parent === undefined || found.has(parent)) continue;
      found.add(parent);
      stack.push(parent);
    }
  }
  return [...found];
}

/** A partition or child of a sharded table is sharded as that is; anything else the two could be is no agreement. */
function withParents(relation: CatalogRelation, byName: ReadonlyMap<string, CatalogRelation>): FoundRelation {
  let own = relation;
  for (const parent of ancestors(relation, byName)) {
    if (parent.placement !== 'sharded') continue;
    const column = parent.columns[parent.keyColumn]?.name;
    const keyColumn = own.columns.findIndex(({ name }) => name === column);
    const isAgreed = own.placement !== 'sharded' || (own.rule === parent.rule && own.keyColumn === keyColumn);
    if (column === undefined || keyColumn < 0 || !isAgreed) {
      return { kind: 'different', text: `it is not sharded as its parent "${parent.name}" is` };
    }
    own = { ...own, placement: 'sharded', keyColumn, rule: parent.rule };
  }
  return { kind: 'relation', relation: own };
}
