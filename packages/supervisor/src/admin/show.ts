import { buildResult, type Column, PgDogError, TYPE_OID } from '@pgdog-cluster/core';
import type { AdminCaller, AdminContext } from './admin-context.js';
import { type ShowQuestion, WHOLE_SHOW } from './merged-queries.js';

/** What a column travels as: counts and times NUMERIC, ids, pids and ms BIGINT, flags BOOL, the rest TEXT (as PgDog); INTEGER as PgBouncer. */
export type CellType = 'text' | 'int' | 'bigint' | 'numeric' | 'bool';
export type CellValue = string | number | boolean | null;

const CELL_OIDS: Record<CellType, number> = {
  text: TYPE_OID.text,
  int: TYPE_OID.int4,
  bigint: TYPE_OID.int8,
  numeric: TYPE_OID.numeric,
  bool: TYPE_OID.bool,
};

/** One column: its head, and where its value comes from, so that the two cannot drift apart. */
export interface ShowColumn<Row> extends Column {
  typeOid: number;
  meaning: string;
  value: (row: Row) => CellValue;
}

export function column<Row>(
  name: string,
  type: CellType,
  meaning: string,
  value: (row: Row) => CellValue,
): ShowColumn<Row> {
  return { name, typeOid: CELL_OIDS[type], meaning, value };
}

/** Who may ask: the admin, or (by SHOW pgdog.<name>) any client. */
export type Privilege = 'admin' | 'client';

export interface ShowDefinition<Row> {
  /** As typed after SHOW, lower case. */
  name: string;
  privilege: Privilege;
  description: string;
  columns: readonly ShowColumn<Row>[];
  rows: (
    context: AdminContext,
    caller: AdminCaller,
    question: ShowQuestion,
  ) => Iterable<Row> | Promise<Iterable<Row>>;
  /** Not for stats_users. Such a table takes neither columns nor a filter. */
  isForAdminsOnly?: boolean;
  /** SHOW CLIENTS user, addr: only these columns, in this order. */
  takesColumns?: boolean;
  /** SHOW QUERIES 'part of the text' LIMIT 10. */
  takesFilter?: boolean;
}

/** A SHOW with its row type forgotten, so that all fit one table. */
export interface Show {
  readonly name: string;
  readonly privilege: Privilege;
  readonly description: string;
  readonly isForAdminsOnly: boolean;
  readonly takesColumns: boolean;
  readonly takesFilter: boolean;
  readonly columns: readonly (Column & { typeOid: number; meaning: string })[];
  /** RowDescription, rows, CommandComplete. `wanted`: column names; empty = all. */
  answer(
    context: AdminContext,
    caller: AdminCaller,
    wanted: readonly string[],
    question?: ShowQuestion,
  ): Promise<Uint8Array>;
  /** The rows as JSON has them: numbers are numbers. */
  records(context: AdminContext, caller: AdminCaller): Promise<Record<string, CellValue>[]>;
}

export function defineShow<Row>(definition: ShowDefinition<Row>): Show {
  const {
    name,
    privilege,
    description,
    columns,
    rows,
    isForAdminsOnly = false,
    takesColumns = false,
    takesFilter = false,
  } = definition;
  return {
    name,
    privilege,
    description,
    isForAdminsOnly,
    takesColumns,
    takesFilter,
    columns,
    async answer(context, caller, wanted, question = WHOLE_SHOW) {
      const chosen = chooseColumns(columns, wanted);
      const texts: (string | null)[][] = [];
      for (const row of await rows(context, caller, question)) {
        texts.push(chosen.map(({ value }) => toText(value(row))));
      }
      return buildResult(chosen, texts, 'SHOW');
    },
    async records(context, caller) {
      const records: Record<string, CellValue>[] = [];
      for (const row of await rows(context, caller, WHOLE_SHOW)) {
        const cells = columns.map(({ name: title, value }) => [title, toCell(value(row))] as const);
        records.push(Object.fromEntries(cells));
      }
      return records;
    },
  };
}

function chooseColumns<Row>(
  columns: readonly ShowColumn<Row>[],
  wanted: readonly string[],
): readonly ShowColumn<Row>[] {
  if (wanted.length === 0) return columns;
  return wanted.map((name) => {
    const found = columns.find((candidate) => candidate.name === name);
    if (found === undefined) throw new PgDogError('admin_syntax', `unknown column "${name.slice(0, 64)}"`);
    return found;
  });
}

function toCell(value: CellValue): CellValue {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
}

/** Postgres's text format. At most three decimals: nothing here is measured more finely. */
function toText(value: CellValue): string | null {
  if (value === null) return null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value === 'string') return value;
  return String(toCell(value));
}

/** Epoch ms as text, 0 as NULL: 2030-01-31 12:00:00.000 UTC. */
export function timestampText(epochMs: number): string | null {
  if (epochMs <= 0) return null;
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** The same as PgBouncer writes it: 2030-01-31 12:00:00 UTC. */
export function secondsText(epochMs: number): string | null {
  return timestampText(epochMs)?.replace(/\.\d+ /, ' ') ?? null;
}
