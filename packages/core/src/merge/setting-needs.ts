import type { RowShape } from './row-shape.js';
import { VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/** A setting on which the merge of some column depends, and cannot see from the rows. */
export type SettingNeed =
  /** ISO, which ParameterStatus tells; other styles are malformed to the merge. */
  | 'DateStyle'
  /** Above 0, as it is by default: else two floats may have one text. */
  | 'extra_float_digits'
  /** hex, as it is by default: escape is malformed to an order. */
  | 'bytea_output'
  /** The same as server_encoding, which ParameterStatus tells: bytes are compared, and a conversion may not keep them apart. */
  | 'client_encoding';

const NEEDS: Record<number, SettingNeed> = {
  [VALUE_TYPE.date]: 'DateStyle',
  [VALUE_TYPE.timestamp]: 'DateStyle',
  [VALUE_TYPE.timestamptz]: 'DateStyle',
  [VALUE_TYPE.float4]: 'extra_float_digits',
  [VALUE_TYPE.float8]: 'extra_float_digits',
  [VALUE_TYPE.bytea]: 'bytea_output',
};

/** Text has its encoding in binary format too. */
const CHARACTER_TYPES = new Set<number>([
  VALUE_TYPE.text,
  VALUE_TYPE.varchar,
  VALUE_TYPE.bpchar,
  VALUE_TYPE.name,
]);

/**
 * What the caller must have checked before these columns are sorted by, grouped by, told apart by, or are results of min and
 * max. Besides, it has checked collations: of text that is sorted it orders bytes, of text that is told apart it is
 * deterministic.
 */
export function settingNeeds(shape: RowShape, columns: readonly number[]): ReadonlySet<SettingNeed> {
  const needs = new Set<SettingNeed>();
  for (const column of columns) {
    const described = shape.columns[column];
    if (described === undefined) continue;
    if (CHARACTER_TYPES.has(described.typeOid) || described.labels !== undefined)
      needs.add('client_encoding');
    const need = NEEDS[described.typeOid];
    if (need !== undefined && described.format === VALUE_FORMAT.text) needs.add(need);
  }
  return needs;
}
