import type {
  CatalogRelation,
  CatalogUnique,
  ShardingSnapshot,
  ShardKeyType,
  ShardRule,
} from '@pgdog-cluster/core';
import type { CatalogDifference } from './compare-catalogs.js';
import { typeWords } from './compare-catalogs.js';
import { type RawRelation, uniqueText } from './raw-catalog.js';

/** Types of columns that a key type may be of. */
const FAMILIES: Record<ShardKeyType, readonly string[]> = {
  int2: ['int2', 'int4', 'int8'],
  int4: ['int2', 'int4', 'int8'],
  int8: ['int2', 'int4', 'int8'],
  text: ['text', 'varchar'],
  uuid: ['uuid'],
  bytea: ['bytea'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  numeric: ['numeric'],
};

/** Bytes of a text are hashed as clients send them, which in another encoding are not those that are stored. */
const ENCODING = 'UTF8';

type Verdict = { kind: 'rule'; rule: number } | { kind: 'none' } | { kind: 'different'; text: string };

const NONE: Verdict = { kind: 'none' };

/** Which relations are sharded, and by which rule. */
export class PlaceRelations {
  readonly #relations: readonly RawRelation[];
  readonly #sharding: ShardingSnapshot;
  readonly #encodings: readonly string[];
  readonly #shardOf: (schema: string) => number | null;
  readonly #byName: ReadonlyMap<string, RawRelation>;
  readonly #children = new Map<string, RawRelation[]>();
  readonly #verdicts = new Map<RawRelation, Verdict>();

  /** @param relations those that are equal on all shards */
  constructor(
    relations: readonly RawRelation[],
    sharding: ShardingSnapshot,
    encodings: readonly string[],
    shardOf: (schema: string) => number | null,
  ) {
    this.#relations = relations;
    this.#sharding = sharding;
    this.#encodings = encodings;
    this.#shardOf = shardOf;
    this.#byName = new Map(relations.map((relation) => [keyOf(relation.schema, relation.name), relation]));
    for (const relation of relations) {
      for (const [schema, name] of relation.parents) {
        const children = this.#children.get(keyOf(schema, name));
        if (children === undefined) this.#children.set(keyOf(schema, name), [relation]);
        else children.push(relation);
      }
    }
  }

  /** @param known differences found so far; those found here come behind them */
  placed(known: readonly CatalogDifference[]) {
    const differences = [...known];
    const relations: CatalogRelation[] = [];
    const broken = this.#parentsOfOthers();
    for (const relation of this.#relations) {
      const verdict = broken.get(relation) ?? this.#verdict(relation);
      if (verdict.kind === 'different') {
        differences.push({ schema: relation.schema, name: relation.name, text: verdict.text });
      } else relations.push(this.#place(relation, verdict));
    }
    return { relations, differences, unmatchedRules: this.#unmatched(known) };
  }

  #place(relation: RawRelation, verdict: Verdict): CatalogRelation {
    const shard = this.#shardOf(relation.schema);
    const isView = relation.kind === 'view' || relation.kind === 'materializedView';
    const nowhere = { keyColumn: -1, rule: -1 };
    if (shard !== null) return { ...relation, placement: isView ? 'view' : 'oneShard', ...nowhere, shard };
    if (verdict.kind !== 'rule') return { ...relation, placement: isView ? 'view' : 'omni', ...nowhere };
    const { column } = this.#sharding.tables[verdict.rule];
    const keyColumn = relation.columns.findIndex(({ name }) => name === column);
    const placed: CatalogRelation = { ...relation, placement: 'sharded', keyColumn, rule: verdict.rule };
    const looseUniques = this.#looseUniques(relation, column);
    return looseUniques.length === 0 ? placed : { ...placed, looseUniques };
  }

  /** Its own and its parts', to which its rows go; alike ones of many partitions once. */
  #looseUniques(relation: RawRelation, key: string): CatalogUnique[] {
    const found = new Map<string, CatalogUnique>();
    const tables = new Set([relation]);
    for (const table of tables) {
      for (const unique of table.uniques) {
        const text = uniqueText(unique);
        if (!unique.keys.includes(key) && !found.has(text)) found.set(text, unique);
      }
      for (const child of this.#children.get(keyOf(table.schema, table.name)) ?? []) tables.add(child);
    }
    return [...found.values()];
  }

  #verdict(relation: RawRelation): Verdict {
    const known = this.#verdicts.get(relation);
    if (known !== undefined) return known;
    // Against a circle, which Postgres does not have.
    this.#verdicts.set(relation, NONE);
    const verdict = this.#shardOf(relation.schema) === null ? this.#judge(relation) : NONE;
    this.#verdicts.set(relation, verdict);
    return verdict;
  }

  #judge(relation: RawRelation): Verdict {
    const { schema, name, kind, columns } = relation;
    const rules = this.#sharding.tables;
    const isThere = (rule: ShardRule): boolean => rule.schema === null || rule.schema === schema;
    const own = rules.findIndex((rule) => rule.table === name && isThere(rule));
    if (kind === 'view' || kind === 'sequence') {
      return own === -1
        ? NONE
        : { kind: 'different', text: 'has a rule of [[sharded_tables]], which are for tables' };
    }
    const inherited = this.#inherited(relation);
    if (inherited.kind === 'different') return inherited;
    if (own !== -1) {
      if (inherited.kind === 'none') return this.#check(relation, own);
      const isSame = areEqual(rules[own], rules[inherited.rule]);
      if (isSame) return this.#check(relation, inherited.rule);
      return { kind: 'different', text: 'has a rule other than its parent' };
    }
    if (inherited.kind === 'rule') return this.#check(relation, inherited.rule);
    // A view's rows, once made, are where those are that they were made of.
    if (kind === 'materializedView' || this.#isNamedOmni(relation)) return NONE;
    const byColumn = rules.flatMap((rule, index) => {
      const isMatch = rule.table === null && isThere(rule) && columns.some((one) => one.name === rule.column);
      return isMatch ? [index] : [];
    });
    if (byColumn.length > 1) {
      const names = byColumn.map((index) => `"${rules[index].column}"`).join(' and ');
      return {
        kind: 'different',
        text: `has the columns ${names} of several rules: give the table one of its own`,
      };
    }
    if (byColumn.length === 1) return this.#check(relation, byColumn[0]);
    // What it stands for may be the same for all shards, or a part for each.
    const text =
      'is a foreign table: give it a rule, or name it in [[omnisharded_tables]] if all shards see the same';
    return kind === 'foreignTable' ? { kind: 'different', text } : NONE;
  }

  #inherited(relation: RawRelation): Verdict {
    let found: Verdict = NONE;
    for (const [schema, name] of relation.parents) {
      const parent = this.#byName.get(keyOf(schema, name));
      // The parent's own trouble is told there; what it is would be a guess.
      if (parent === undefined) return { kind: 'different', text: `its parent ${schema}.${name} differs` };
      const verdict = this.#verdict(parent);
      if (verdict.kind === 'different')
        return { kind: 'different', text: `its parent ${schema}.${name} differs` };
      if (verdict.kind === 'none') continue;
      if (found.kind === 'rule' && found.rule !== verdict.rule) {
        return { kind: 'different', text: 'its parents are sharded by several rules' };
      }
      found = verdict;
    }
    return found;
  }

  #isNamedOmni({ schema, name }: RawRelation): boolean {
    return this.#sharding.omnisharded.some(
      ([inSchema, table]) => table === name && (inSchema === null || inSchema === schema),
    );
  }

  /** The rule fits the table. */
  #check({ columns }: RawRelation, index: number): Verdict {
    const { column: name, keyType } = this.#sharding.tables[index];
    const column = columns.find((one) => one.name === name);
    const different = (text: string): Verdict => ({ kind: 'different', text });
    if (column === undefined) return different(`its sharding key "${name}" is no column of it`);
    if (!FAMILIES[keyType].some((type) => column.type === `pg_catalog.${type}`)) {
      return different(`its sharding key "${name}" is ${typeWords(column)}, its rule says ${keyType}`);
    }
    if (keyType !== 'text') return { kind: 'rule', rule: index };
    if (!column.isDeterministic) {
      return different(`its sharding key "${name}" has a collation that takes different texts for equal`);
    }
    const other = this.#encodings.findIndex((encoding) => encoding !== ENCODING);
    if (other === -1) return { kind: 'rule', rule: index };
    const encoding = this.#encodings[other];
    return different(
      `its sharding key "${name}" is text, and shard ${other} has encoding ${encoding}: only UTF8 is supported`,
    );
  }

  /** Whose rows are partly in a table that is elsewhere, or that the shards do not agree about: to read it would be to guess. */
  #parentsOfOthers(): Map<RawRelation, Verdict> {
    const broken = new Map<RawRelation, Verdict>();
    for (const child of this.#relations) {
      const verdict = this.#verdict(child);
      for (const [schema, name] of child.parents) {
        const parent = this.#byName.get(keyOf(schema, name));
        if (parent === undefined || verdict.kind === 'none') continue;
        const isAlike = verdict.kind === 'rule' && this.#verdict(parent).kind === 'rule';
        if (isAlike || this.#verdict(parent).kind === 'different') continue;
        const what = verdict.kind === 'rule' ? 'is sharded, and it is not' : 'differs';
        broken.set(parent, { kind: 'different', text: `its child ${child.schema}.${child.name} ${what}` });
      }
    }
    return broken;
  }

  /** Rules for tables that there are not: mistyped, perhaps. */
  #unmatched(known: readonly CatalogDifference[]): string[] {
    const names = [...this.#relations, ...known];
    return this.#sharding.tables.flatMap(({ schema, table }) => {
      const isFound = names.some((one) => one.name === table && (schema === null || one.schema === schema));
      if (table === null || isFound) return [];
      return [schema === null ? table : `${schema}.${table}`];
    });
  }
}

/** Whichever tables they are for. */
function areEqual(one: ShardRule, other: ShardRule): boolean {
  const textOf = (rule: ShardRule): string => JSON.stringify({ ...rule, schema: null, table: null });
  return textOf(one) === textOf(other);
}

function keyOf(schema: string, name: string): string {
  return `${schema}\0${name}`;
}
