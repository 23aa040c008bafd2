import type { AggregateKind, PlainColumn } from '../shard/shard-reading.js';
import type { RowShape } from './row-shape.js';
import { typeName, VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/** Equal values of them are the same bytes, and there is one order. */
const PLAIN: ReadonlySet<number> = new Set([
  VALUE_TYPE.bool,
  VALUE_TYPE.bytea,
  VALUE_TYPE.int2,
  VALUE_TYPE.int4,
  VALUE_TYPE.int8,
  VALUE_TYPE.oid,
  VALUE_TYPE.date,
  VALUE_TYPE.time,
  VALUE_TYPE.timestamp,
  VALUE_TYPE.timestamptz,
  VALUE_TYPE.uuid,
]);
/** 1.0 is 1.00, and -0 is 0. */
const INEXACT: ReadonlySet<number> = new Set([VALUE_TYPE.numeric]);
/** In text two of them may look the same, as settings have it. */
const INEXACT_BINARY: ReadonlySet<number> = new Set([VALUE_TYPE.float4, VALUE_TYPE.float8]);
const TEXTS: ReadonlySet<number> = new Set([VALUE_TYPE.text, VALUE_TYPE.varchar]);

/** In words, and what to do about it if more than naming a shard helps. */
export interface PlainProblem {
  readonly text: string;
  readonly hint?: string;
}

const BYTES_HINT = `Write COLLATE "C" behind it, where the order of its bytes will do, compare the sharding key with a value, or name the shard by SET pgdog.shard.`;

/** Why columns whose types were not known cannot be merged; null: they can. */
export function plainProblem(
  { columns }: RowShape,
  plain: readonly PlainColumn[],
  aggregates: readonly (AggregateKind | null)[],
): PlainProblem | null {
  for (const { column, mayBeText, mayBeInexact, mayBeFloat = false } of plain) {
    const described = columns[column];
    if (described === undefined) return { text: `the answer has no column ${column + 1}` };
    const { typeOid, name, format, labels } = described;
    // Of an enum equal values are the same label.
    if (labels !== undefined) continue;
    // Of those that look the same in text, min and max may as well be any.
    const isExtreme = aggregates[column] === 'min' || aggregates[column] === 'max';
    const isFloat =
      INEXACT_BINARY.has(typeOid) && (format === VALUE_FORMAT.binary || isExtreme || mayBeFloat);
    const isInexact = mayBeInexact && (INEXACT.has(typeOid) || isFloat);
    const isFit = PLAIN.has(typeOid) || (mayBeText && TEXTS.has(typeOid)) || isInexact;
    if (!isFit) {
      const text = `rows of several shards cannot be merged by column "${name}": Postgres alone knows how ${typeName(typeOid)} is compared there`;
      return { text, ...(TEXTS.has(typeOid) ? { hint: BYTES_HINT } : {}) };
    }
  }
  return null;
}
