import { decodeTextStrictly, findNul } from '../wire/cstring.js';
import { readLength } from '../wire/message-type.js';
import type { EnumLabels } from './enum-order.js';
import { FIRST_USER_OID, typeName, VALUE_FORMAT } from './value-types.js';

/** What a RowDescription says of a column, without the table it is from: that differs between shards and means nothing. */
export interface ShapeColumn {
  readonly name: string;
  readonly typeOid: number;
  /** -1: none. */
  readonly typmod: number;
  /** 0 text, 1 binary. */
  readonly format: number;
  /** Of an enum whose order is known. Absent: it is none. */
  readonly labels?: readonly string[];
}

/** Behind a column's name: table oid, column number, type oid, size, typmod, format. */
const COLUMN_FIELDS_BYTES = 18;

const formatName = (format: number): string =>
  format === VALUE_FORMAT.text ? 'text' : format === VALUE_FORMAT.binary ? 'binary' : `format ${format}`;

/** The columns of an answer, as a client is told of them. */
export class RowShape {
  readonly columns: readonly ShapeColumn[];

  constructor(columns: readonly ShapeColumn[]) {
    this.columns = columns;
  }

  /** @param bytes bytes[start, end) is the body of a RowDescription; null when it is none */
  static read(bytes: Uint8Array, start: number, end: number): RowShape | null {
    if (start < 0 || end > bytes.length || end - start < 2) return null;
    const count = (bytes[start] << 8) | bytes[start + 1];
    const columns: ShapeColumn[] = [];
    let at = start + 2;
    for (let index = 0; index < count; index++) {
      const nul = findNul(bytes, at, end);
      if (nul < 0 || end - nul - 1 < COLUMN_FIELDS_BYTES) return null;
      const name = nul === at ? '' : decodeTextStrictly(bytes, at, nul);
      // In an encoding that is not UTF-8: byte by byte, which tells names apart all the same.
      const shown = name ?? Buffer.from(bytes.subarray(at, nul)).toString('latin1');
      const fields = nul + 1;
      columns.push({
        name: shown,
        typeOid: readLength(bytes, fields + 6),
        typmod: readLength(bytes, fields + 12) | 0,
        format: (bytes[fields + 16] << 8) | bytes[fields + 17],
      });
      at = fields + COLUMN_FIELDS_BYTES;
    }
    return at === end ? new RowShape(columns) : null;
  }

  /**
   * As a Bind's result formats have it, which the description of a statement does not know yet.
   * @param formats none: all text; one: for all columns; else one for each. null when there are too many or too few
   */
  withFormats(formats: readonly number[]): RowShape | null {
    if (formats.length > 1 && formats.length !== this.columns.length) return null;
    const formatOf = (index: number): number =>
      formats.length === 0 ? VALUE_FORMAT.text : formats.length === 1 ? formats[0] : formats[index];
    return new RowShape(this.columns.map((column, index) => ({ ...column, format: formatOf(index) })));
  }

  /** With what is known of enums. */
  labelled(enums: EnumLabels | undefined): RowShape {
    if (enums === undefined || !this.columns.some(({ typeOid }) => enums.has(typeOid))) return this;
    return new RowShape(
      this.columns.map((column) => {
        const labels = enums.get(column.typeOid);
        return labels === undefined ? column : { ...column, labels };
      }),
    );
  }

  /** Its columns under other names, for errors. @param names '': as it is */
  named(names: readonly string[]): RowShape {
    return new RowShape(this.columns.map((column, i) => ({ ...column, name: names[i] || column.name })));
  }

  /** Why rows of both cannot be one answer; null when a client would not see a difference. */
  agree(other: RowShape): string | null {
    if (this.columns.length !== other.columns.length) {
      return `one answer has ${this.columns.length} columns, another ${other.columns.length}`;
    }
    for (let index = 0; index < this.columns.length; index++) {
      const difference = differenceOf(this.columns[index], other.columns[index]);
      if (difference !== null) return `column ${index + 1} ${difference}`;
    }
    return null;
  }
}

function differenceOf(one: ShapeColumn, other: ShapeColumn): string | null {
  if (one.name !== other.name) return `is named "${one.name}" and "${other.name}"`;
  if (one.typeOid !== other.typeOid) {
    if (one.typeOid >= FIRST_USER_OID && other.typeOid >= FIRST_USER_OID) {
      return (
        `("${one.name}") is of a type that users made, with oid ${one.typeOid} on one shard and ${other.typeOid} on ` +
        'another: a client could not tell that it is the same type'
      );
    }
    return `("${one.name}") is ${typeName(one.typeOid)} on one shard and ${typeName(other.typeOid)} on another`;
  }
  if (one.typmod !== other.typmod) {
    return `("${one.name}") is ${typeName(one.typeOid)} with modifier ${one.typmod} on one shard and ${other.typmod} on another`;
  }
  if (one.format !== other.format) {
    return `("${one.name}") comes as ${formatName(one.format)} and as ${formatName(other.format)}`;
  }
  return null;
}
