/** Writes made from a seed, and reads of what they write; as text with literals, or with a slot for each parameter. */
import type { Dice } from './dice.js';
import { literalOf, WRITE_TABLES, type WriteColumn, type WriteTable } from './write-tables.js';

export interface MadeStatement {
  construct: string;
  sql: string;
  /** What $1, $2 … may be. */
  slots: WriteColumn[];
}

const ROWS_MAX = 4;

export class WriteGenerator {
  readonly #dice: Dice;
  #hasSlots = false;
  #slots: WriteColumn[] = [];

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** @param hasSlots values are parameters */
  next(hasSlots: boolean): MadeStatement {
    const dice = this.#dice;
    this.#hasSlots = hasSlots;
    this.#slots = [];
    const table = dice.of(WRITE_TABLES);
    const kind = dice.below(100);
    const [construct, sql] =
      kind < 30
        ? this.#insert(table)
        : kind < 34
          ? this.#insertSelect(table)
          : kind < 60
            ? this.#update(table)
            : kind < 74
              ? this.#delete(table)
              : kind < 77
                ? this.#merge(table)
                : this.#read(table);
    return { construct, sql, slots: this.#slots };
  }

  // Values.

  #value(column: WriteColumn): string {
    const dice = this.#dice;
    if (this.#hasSlots && dice.chance(85)) {
      this.#slots.push(column);
      return `$${this.#slots.length}`;
    }
    return literalOf(column.type, dice.of(column.pool), dice.of([0, 0, 1, 1, 2]));
  }

  #assigned(column: WriteColumn): string {
    const dice = this.#dice;
    const { name, type } = column;
    if (dice.chance(4)) return 'DEFAULT';
    if (dice.chance(25)) {
      if (type === 'int4' || type === 'numeric') return `${name} ${dice.of(['+ 1', '* 2', '- 3'])}`;
      if (type === 'text') return `${name} || '+'`;
    }
    return this.#value(column);
  }

  #some(columns: readonly WriteColumn[], most: number): WriteColumn[] {
    const dice = this.#dice;
    const count = 1 + dice.below(Math.min(most, columns.length));
    const rest = [...columns];
    return Array.from({ length: count }, () => rest.splice(dice.below(rest.length), 1)[0]);
  }

  #returning({ name, key, columns }: WriteTable, prefix = ''): string {
    const dice = this.#dice;
    if (dice.chance(50)) return '';
    const shown = this.#some(columns, 3).map((column) => `${prefix}${column.name}`);
    return ` RETURNING ${dice.of([
      () => (prefix === '' ? '*' : `${prefix}*`),
      () => shown.join(', '),
      () => `${prefix}${key?.name ?? shown[0]} AS k, ${shown[0]} IS NULL AS missing`,
      () => `${shown.join(', ')}, '${name}' AS source`,
    ])()}`;
  }

  // Conditions.

  #pin({ key }: WriteTable, prefix: string): string | null {
    const dice = this.#dice;
    if (key === null) return null;
    const column = `${prefix}${key.name}`;
    return dice.of([
      () => `${column} = ${this.#value(key)}`,
      () => `${column} = ${this.#value(key)}`,
      () => `${column} = ${this.#value(key)}`,
      () => `${this.#value(key)} = ${column}`,
      () => `${column} IN (${this.#value(key)}, ${this.#value(key)})`,
      () => `${column} IN (${this.#value(key)}, ${this.#value(key)}, ${this.#value(key)})`,
      () => `(${column} = ${this.#value(key)} OR ${column} = ${this.#value(key)})`,
    ])();
  }

  #condition({ columns }: WriteTable, prefix: string): string {
    const dice = this.#dice;
    const column = dice.of(columns);
    const text = `${prefix}${column.name}`;
    return dice.of([
      () => `${text} IS NULL`,
      () => `${text} IS NOT NULL`,
      () => `${text} = ${this.#value(column)}`,
      () => `${text} <> ${this.#value(column)}`,
      () => `${text} >= ${this.#value(column)}`,
      () => `${text} < ${this.#value(column)}`,
    ])();
  }

  /** @param keyed percent of conditions that say where the rows are */
  #where(table: WriteTable, prefix = '', keyed = 60): string {
    const dice = this.#dice;
    const pin = dice.chance(keyed) ? this.#pin(table, prefix) : null;
    const parts = pin === null ? [] : [pin];
    while (parts.length < 2 && dice.chance(pin === null ? 70 : 30))
      parts.push(this.#condition(table, prefix));
    return parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`;
  }

  // Statements: what they are counted as, and their text.

  #insert(table: WriteTable): [string, string] {
    const dice = this.#dice;
    const others = table.columns.filter(({ name }) => !table.needed.includes(name));
    const optional = others.filter(() => dice.chance(40));
    const needed = dice.chance(4) ? table.needed.slice(1) : table.needed;
    const columns = table.columns.filter(
      (column) => needed.includes(column.name) || optional.includes(column),
    );
    if (columns.length === 0) columns.push(table.columns[0]);
    if (dice.chance(20)) columns.reverse();
    const count = dice.chance(55) ? 1 : 2 + dice.below(ROWS_MAX - 1);
    const rows = Array.from({ length: count }, () => {
      const values = columns.map((column) => (dice.chance(3) ? 'DEFAULT' : this.#value(column)));
      return `(${values.join(', ')})`;
    });
    const names = columns.map(({ name }) => name).join(', ');
    const conflict = dice.chance(35) ? this.#conflict(table) : '';
    const construct =
      conflict !== '' ? 'INSERT … ON CONFLICT' : count === 1 ? 'INSERT of one row' : 'INSERT of several rows';
    return [
      construct,
      `INSERT INTO ${table.name} AS t (${names}) VALUES ${rows.join(', ')}${conflict}${this.#returning(table, 't.')}`,
    ];
  }

  #conflict({ unique, columns, needed }: WriteTable): string {
    const dice = this.#dice;
    if (unique === '' || dice.chance(15)) return ' ON CONFLICT DO NOTHING';
    const target = ` ON CONFLICT (${dice.chance(95) ? unique : columns[1].name})`;
    if (dice.chance(35)) return `${target} DO NOTHING`;
    const settable = columns.filter(({ name }) => !needed.includes(name));
    const sets = this.#some(settable.length > 0 ? settable : columns, 2).map((column) => {
      const { name } = column;
      return `${name} = ${dice.of([() => `EXCLUDED.${name}`, () => this.#value(column), () => `t.${name}`])()}`;
    });
    const where = dice.chance(15) ? ` WHERE t.${columns[0].name} IS NOT NULL` : '';
    return `${target} DO UPDATE SET ${sets.join(', ')}${where}`;
  }

  #insertSelect(table: WriteTable): [string, string] {
    const dice = this.#dice;
    const names = table.columns.map(({ name }) => name);
    const shown = table.columns.map((column) =>
      table.key === column || dice.chance(70) ? column.name : this.#value(column),
    );
    const where = this.#where(table, '', 80);
    return [
      'INSERT … SELECT',
      `INSERT INTO ${table.name} AS t (${names.join(', ')}) SELECT ${shown.join(', ')} FROM ${table.name}${where} ON CONFLICT DO NOTHING${this.#returning(table, 't.')}`,
    ];
  }

  /** One for all rows, or for each its own. */
  #movedKey(key: WriteColumn): string {
    const dice = this.#dice;
    if (dice.chance(75)) return this.#value(key);
    if (key.type === 'text') return `${key.name} || ${dice.of(["'+'", "'a'"])}`;
    if (key.type === 'int8' || key.type === 'date') return `${key.name} + ${dice.of(['1', '0', '50'])}`;
    return `coalesce(${key.name}, ${this.#value(key)})`;
  }

  /** Rows that may belong elsewhere afterwards. */
  #move(table: WriteTable, key: WriteColumn): [string, string] {
    const dice = this.#dice;
    const free = table.columns.filter(({ name }) => !table.needed.includes(name));
    const others = free.length > 0 && dice.chance(40) ? this.#some(free, 2) : [];
    const sets = [
      `${key.name} = ${this.#movedKey(key)}`,
      ...others.map((column) => `${column.name} = ${this.#assigned(column)}`),
    ];
    if (dice.chance(30)) sets.reverse();
    const text = `UPDATE ${table.name} SET ${sets.join(', ')}${this.#where(table)}${this.#returning(table)}`;
    return ['UPDATE of the key', text];
  }

  #update(table: WriteTable): [string, string] {
    const dice = this.#dice;
    if (table.key !== null && dice.chance(20)) return this.#move(table, table.key);
    const free = table.columns.filter(({ name }) => !table.needed.includes(name));
    const settable = free.length > 0 && !dice.chance(5) ? free : table.columns;
    const sets = this.#some(settable, 2).map((column) => `${column.name} = ${this.#assigned(column)}`);
    const where = this.#where(table);
    const hasKey = table.key !== null && where.includes(table.key.name);
    const from = dice.chance(6) ? this.#joined(table, where, ' FROM ') : where;
    return [
      hasKey ? 'UPDATE with the key' : 'UPDATE without the key',
      `UPDATE ${table.name} SET ${sets.join(', ')}${from}${from === where ? this.#returning(table) : ''}`,
    ];
  }

  #delete(table: WriteTable): [string, string] {
    const dice = this.#dice;
    const where = this.#where(table, '', 75);
    const hasKey = table.key !== null && where.includes(table.key.name);
    const from = dice.chance(6) ? this.#joined(table, where, ' USING ') : where;
    return [
      hasKey ? 'DELETE with the key' : 'DELETE without the key',
      `DELETE FROM ${table.name}${from}${from === where ? this.#returning(table) : ''}`,
    ];
  }

  /** With rows of another table, which have the same key or are whole. */
  #joined(table: WriteTable, where: string, verb: string): string {
    const dice = this.#dice;
    const { key, name } = table;
    const others = WRITE_TABLES.filter((other) => other.name !== name && other.key?.type === key?.type);
    if (key === null || others.length === 0) return where;
    const other = dice.of(others);
    const on = dice.chance(85)
      ? `o.${other.key?.name} = ${name}.${key.name}`
      : `o.${dice.of(other.columns).name} IS NULL`;
    return `${verb}${other.name} o WHERE ${on} AND ${this.#condition(other, 'o.')}`;
  }

  #merge(table: WriteTable): [string, string] {
    const column = table.key ?? table.columns[0];
    const named = this.#dice.of(table.columns);
    const set = table.needed.includes(named.name) ? 'DO NOTHING' : `UPDATE SET ${named.name} = s.v`;
    return [
      'MERGE',
      `MERGE INTO ${table.name} t USING (SELECT ${this.#value(column)}::${column.type} AS k, ${this.#value(named)}::${named.type} AS v) s ON t.${column.name} = s.k WHEN MATCHED THEN ${set} WHEN NOT MATCHED THEN DO NOTHING`,
    ];
  }

  #read(table: WriteTable): [string, string] {
    const dice = this.#dice;
    const where = this.#where(table, '', 65);
    const lock = dice.chance(8) ? ' FOR UPDATE' : '';
    const shown = this.#some(table.columns, 3);
    return [
      'reads in between',
      dice.of([
        () => `SELECT ${shown.map(({ name }) => name).join(', ')} FROM ${table.name}${where}${lock}`,
        () => `SELECT * FROM ${table.name}${where}${lock}`,
        () => `SELECT count(*), count(${shown[0].name}) FROM ${table.name}${where}`,
        () =>
          `SELECT ${shown[0].name}, count(*) FROM ${table.name}${where} GROUP BY ${shown[0].name} ORDER BY 1, 2`,
      ])(),
    ];
  }
}
