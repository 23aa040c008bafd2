import {
  BACKEND,
  type CountForm,
  FrameWriter,
  type RowShape,
  VALUE_FORMAT,
  VALUE_TYPE,
  writeCount,
} from '@pgdog-cluster/core';

const writer = new FrameWriter(64);

/** The one row that a client is shown instead of rows that it only counts. */
export class RowCount {
  private form: CountForm = { isInt4: false, format: VALUE_FORMAT.text };

  /** Of the client's one column. */
  takeShape({ columns: [column] }: RowShape): void {
    if (column !== undefined)
      this.form = { isInt4: column.typeOid === VALUE_TYPE.int4, format: column.format };
  }

  /** null: it does not fit. */
  row(count: number): Uint8Array | null {
    writer.reset().begin(BACKEND.DataRow).int16(1);
    if (!writeCount(writer, count, this.form)) return null;
    writer.end();
    return writer.take();
  }
}
