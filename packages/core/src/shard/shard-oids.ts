// ● per-frame path
import { FIRST_USER_OID } from '../merge/value-types.js';
import { findNul } from '../wire/cstring.js';
import { readLength } from '../wire/message-type.js';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
const OID_BYTES = 4;
/** Behind a column's name in a RowDescription: table oid, column number, type oid, size, typmod, format. */
const COLUMN_BYTES = 18;
const TYPE_AT = 6;
/** What the first shard does not have: of no known type, so that no client takes it for another one. */
const UNKNOWN_TYPE = 705;
const NO_TABLE = 0;
/** What this shard does not have. No object has it: Postgres says that there is no such type. */
const MISSING = 0xffff_ffff;

/** For each thing its oid by shard, 0 where it is not; what has the same on all is left out. */
export type OidsByShard = readonly (readonly number[])[];

/** What users have made has numbers of its own on each server, by when it was made. */
export interface CatalogOids {
  readonly types: OidsByShard;
  readonly relations: OidsByShard;
}

/**
 * Clients know types and tables by the numbers that the first shard has for them, whichever shard answers (protocol-message-formats.html:
 * RowDescription, ParameterDescription, Parse). Of one shard, which is not the first.
 */
export class ShardOids {
  readonly #types = new Map<number, number>();
  readonly #tables = new Map<number, number>();
  readonly #ownTypes = new Map<number, number>();

  /** null: there is nothing to be changed. */
  static of(oids: CatalogOids | undefined, shard: number): ShardOids | null {
    return oids === undefined || shard === 0 ? null : new ShardOids(oids, shard);
  }

  private constructor({ types, relations }: CatalogOids, shard: number) {
    for (const row of types) {
      const [first, own] = [row[0], row[shard]];
      if (own !== 0 && own !== first) this.#types.set(own, first === 0 ? UNKNOWN_TYPE : first);
      if (first !== 0 && own !== first) this.#ownTypes.set(first, own === 0 ? MISSING : own);
    }
    for (const row of relations) {
      const [first, own] = [row[0], row[shard]];
      if (own !== 0 && own !== first) this.#tables.set(own, first === 0 ? NO_TABLE : first);
    }
  }

  /** Changes a RowDescription where it stands. @param bytes bytes[start, end) is the whole frame */
  describeRow(bytes: Uint8Array, start: number, end: number): void {
    let at = start + HEADER_BYTES + COUNT_BYTES;
    while (at < end) {
      const fields = findNul(bytes, at, end) + 1;
      if (fields === 0 || end - fields < COLUMN_BYTES) return;
      change(bytes, fields, this.#tables);
      change(bytes, fields + TYPE_AT, this.#types);
      at = fields + COLUMN_BYTES;
    }
  }

  /** Changes a ParameterDescription where it stands. @param bytes bytes[start, end) is the whole frame */
  describeParameters(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start + HEADER_BYTES + COUNT_BYTES; at + OID_BYTES <= end; at += OID_BYTES)
      change(bytes, at, this.#types);
  }

  /** A Parse, whole, as this shard must have it. @returns `frame` itself where nothing is to be changed */
  toShard(frame: Uint8Array): Uint8Array {
    return withTypes(frame, this.#ownTypes);
  }

  /** A Parse of a client that knows this shard's own numbers. @returns `frame` itself where nothing is to be changed */
  fromShard(frame: Uint8Array): Uint8Array {
    return withTypes(frame, this.#types);
  }
}

function change(bytes: Uint8Array, at: number, numbers: ReadonlyMap<number, number>): void {
  const oid = readLength(bytes, at);
  if (oid < FIRST_USER_OID) return;
  const other = numbers.get(oid);
  if (other === undefined) return;
  bytes[at] = other >>> 24;
  bytes[at + 1] = other >>> 16;
  bytes[at + 2] = other >>> 8;
  bytes[at + 3] = other;
}

function withTypes(frame: Uint8Array, numbers: ReadonlyMap<number, number>): Uint8Array {
  const nameEnd = findNul(frame, HEADER_BYTES, frame.length);
  const textEnd = nameEnd < 0 ? -1 : findNul(frame, nameEnd + 1, frame.length);
  if (textEnd < 0) return frame;
  let changed: Uint8Array | null = null;
  for (let at = textEnd + 1 + COUNT_BYTES; at + OID_BYTES <= frame.length; at += OID_BYTES) {
    if (!numbers.has(readLength(frame, at))) continue;
    // exempt: types that users have made, declared by the client
    changed ??= new Uint8Array(frame);
    change(changed, at, numbers);
  }
  return changed ?? frame;
}
