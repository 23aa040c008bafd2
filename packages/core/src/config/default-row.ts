/** Whose name and meaning a key has. */
export type KeyOrigin = 'pgdog' | 'pgbouncer' | 'ours';

export interface DefaultRow<V> {
  /** null = none: the feature is off or the value is found at start. */
  default: V | null;
  /** ms, bytes, s, or empty. */
  unit: string;
  meaning: string;
  /** Why this default. */
  reason: string;
  origin: KeyOrigin;
}

/** A row for every key. */
export type DefaultTable<T> = { readonly [K in keyof T]-?: DefaultRow<NonNullable<T[K]>> };

/** A row in the order of reading; the origin comes last since most keys are PgDog's. */
export function row<V>(
  value: V,
  unit: string,
  meaning: string,
  reason: string,
  origin: KeyOrigin = 'pgdog',
): { default: V; unit: string; meaning: string; reason: string; origin: KeyOrigin } {
  return { default: value, unit, meaning, reason, origin };
}
