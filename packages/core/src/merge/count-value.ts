// ● per-frame path
import type { FrameWriter } from '../wire/frame-writer.js';
import { VALUE_FORMAT } from './value-types.js';

const INT4_MAX = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;

/** How many rows there are, as a client is told: an int8, or an int4 by its cast. */
export interface CountForm {
  readonly isInt4: boolean;
  readonly format: number;
}

/** As a value of a DataRow. @returns false: it does not fit */
export function writeCount(to: FrameWriter, count: number, { isInt4, format }: CountForm): boolean {
  if (isInt4 && count > INT4_MAX) return false;
  if (format === VALUE_FORMAT.text) to.value(String(count));
  else if (isInt4) to.int32(4).int32(count);
  else
    to.int32(8)
      .int32(Math.floor(count / TWO_32))
      .int32(count % TWO_32);
  return true;
}
