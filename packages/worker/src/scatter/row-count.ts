import { BACKEND, FrameWriter, type RowShape, VALUE_FORMAT, VALUE_TYPE } from '@pgdog-cluster/core';

const INT4_MAX = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;
const writer = new FrameWriter(64);

/** How many rows there are, as the one row that a client is shown instead of them: an int8, or an int4 by its cast. */
export class RowCount {
  private isInt4 = false;
  private format: number = VALUE_FORMAT.text;

  /** Of the client's one column. */
  takeShape({ columns: [column] }: RowShape): void {
    this.isInt4 = column?.typeOid === VALUE_TYPE.int4;
    this.format = column?.format ?? VALUE_FORMAT.text;
  }

  /** null: it does not fit. */
  row(count: number): Uint8Array | null {
    if (this.isInt4 && count > INT4_MAX) return null;
    writer.reset().begin(BACKEND.DataRow).int16(1);
    if (this.format === VALUE_FORMAT.text) writer.value(String(count));
    else if (this.isInt4) writer.int32(4).int32(count);
    else
      writer
        .int32(8)
        .int32(Math.floor(count / TWO_32))
        .int32(count % TWO_32);
    writer.end();
    return writer.take();
  }
}
