// ● per-frame path
import type { ShardFunction } from '../shard/shard-function.js';
import { UNKNOWN_SHARD } from '../shard/shard-of-value.js';
import type { CopyKeyField, CopyLayout } from './copy-layout.js';
import type { FieldReader } from './field-reader.js';

const encoder = new TextEncoder();
/** Of a value that is quoted in an error. */
const SHOWN_BYTES_MAX = 60;

/** Turns the key's field of a row into a shard, as Postgres would read and then place it. */
export class CopyKey {
  private readonly rule: ShardFunction;
  private readonly field: CopyKeyField;
  private readonly isCsv: boolean;
  private readonly reader: FieldReader;
  private readonly nullText: Uint8Array;
  private readonly defaultText: Uint8Array | null;
  /** Texts are not in the server's encoding: of such keys only ASCII is known. */
  private readonly isForeign: boolean;
  /** Why the last shard was not known. */
  reason = '';

  constructor(
    rule: ShardFunction,
    field: CopyKeyField,
    layout: CopyLayout,
    isForeign: boolean,
    reader: FieldReader,
  ) {
    this.rule = rule;
    this.field = field;
    this.isCsv = layout.format === 'csv';
    this.reader = reader;
    this.nullText = encoder.encode(layout.nullText);
    this.defaultText = layout.defaultText === null ? null : encoder.encode(layout.defaultText);
    this.isForeign = isForeign;
  }

  get index(): number {
    return this.field.index;
  }

  /**
   * bytes[start, end) as it stands in the data.
   * @param isMarked there are quotes (csv) or backslashes (text) in it
   * @returns a shard, or UNKNOWN_SHARD, and `reason` says why
   */
  ofText(bytes: Uint8Array, start: number, end: number, isMarked: boolean): number {
    const { isCsv, field } = this;
    const mayBeBare = !isCsv || !isMarked;
    if (mayBeBare && isEqual(this.nullText, bytes, start, end)) {
      if (!field.isNullBarred) return this.ofNull();
    } else if (mayBeBare && this.defaultText !== null && isEqual(this.defaultText, bytes, start, end)) {
      return this.unknown('its default was asked for');
    }
    if (!isMarked) return this.ofValue(bytes, start, end);
    const size = this.reader.read(bytes, start, end);
    if (size < 0) return this.unreadable(bytes, start, end);
    if (field.isNullForced && isEqual(this.nullText, this.reader.bytes, 0, size)) return this.ofNull();
    return this.ofValue(this.reader.bytes, 0, size);
  }

  private ofValue(bytes: Uint8Array, start: number, end: number): number {
    if (!this.isCertain(bytes, start, end)) return this.unreadable(bytes, start, end);
    const shard = this.rule.ofText(bytes, start, end);
    return shard === UNKNOWN_SHARD ? this.unreadable(bytes, start, end) : shard;
  }

  /** bytes[start, end) is the binary value. */
  ofBinary(bytes: Uint8Array, start: number, end: number): number {
    if (!this.isCertain(bytes, start, end)) return this.unknown('it is no ASCII text, or too long');
    const shard = this.rule.ofBinary(bytes, start, end);
    return shard === UNKNOWN_SHARD ? this.unknown('its value cannot be read') : shard;
  }

  ofNull(): number {
    const shard = this.rule.ofNull;
    return shard === UNKNOWN_SHARD ? this.unknown('no shard is for NULL') : shard;
  }

  /** Neither converted nor cut when it is stored. */
  private isCertain(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.rule.keyType !== 'text') return true;
    const { charactersMax } = this.field;
    if (!this.isForeign && end - start <= charactersMax) return true;
    let characters = 0;
    for (let at = start; at < end; at++) {
      if (this.isForeign && bytes[at] >= 0x80) return false;
      if ((bytes[at] & 0xc0) !== 0x80) characters++;
    }
    return characters <= charactersMax;
  }

  private unreadable(bytes: Uint8Array, start: number, end: number): number {
    const shownEnd = Math.min(end, start + SHOWN_BYTES_MAX);
    const shown = Buffer.from(bytes.buffer, bytes.byteOffset + start, shownEnd - start).toString('utf8');
    return this.unknown(`"${shown}${shownEnd < end ? '…' : ''}" leads to none`);
  }

  private unknown(reason: string): number {
    this.reason = `the shard of ${this.field.label} is not known: ${reason}`;
    return UNKNOWN_SHARD;
  }
}

function isEqual(wanted: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== wanted.length) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}
