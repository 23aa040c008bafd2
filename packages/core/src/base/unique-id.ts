/** Ids of 64 bits that no two proxies make alike: time, number of the proxy, number within the millisecond. */

/** `standard`: 41 bits of ms, 10 of the node, 12 of the number. `compact`: 41, 6 and 6, which a float64 holds exactly. */
export type UniqueIdFunction = 'standard' | 'compact';

export interface UniqueIdTerms {
  readonly form: UniqueIdFunction;
  /** Of this proxy. */
  readonly node: number;
  /** Added to every id. */
  readonly min: number;
}

/** Where the ms begin: as in PgDog, whose ids these follow. */
export const ID_EPOCH_MS = 1_764_184_395_000;
/** Largest node number. */
export const NODE_MAX: Readonly<Record<UniqueIdFunction, number>> = { standard: 1023, compact: 63 };
/** Ids of one ms. */
export const IDS_PER_MS: Readonly<Record<UniqueIdFunction, number>> = { standard: 4096, compact: 64 };

const NODE_BITS: Readonly<Record<UniqueIdFunction, bigint>> = { standard: 10n, compact: 6n };
const NUMBER_BITS: Readonly<Record<UniqueIdFunction, bigint>> = { standard: 12n, compact: 6n };
const MAX: Readonly<Record<UniqueIdFunction, bigint>> = {
  standard: 0x7fff_ffff_ffff_ffffn,
  compact: BigInt(Number.MAX_SAFE_INTEGER),
};

/** @returns null: it does not fit any more */
export function uniqueId(
  epochMs: bigint,
  numberInMs: bigint,
  { form, node, min }: UniqueIdTerms,
): bigint | null {
  const sinceMs = epochMs - BigInt(ID_EPOCH_MS);
  if (sinceMs < 0n || sinceMs >= 1n << 41n) return null;
  const withNode = (sinceMs << NODE_BITS[form]) | BigInt(node);
  const id = ((withNode << NUMBER_BITS[form]) | numberInMs) + BigInt(min);
  return id > MAX[form] ? null : id;
}
