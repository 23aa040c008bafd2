import type { LoadedConfig, Secret, UserEntry } from '@pgdog-cluster/core/config';

interface Former {
  secret: Secret;
  /** Epoch ms. */
  untilMs: number;
}

/**
 * Passwords that users had until a reload changed them: accepted beside the new ones for password_grace_period, so that
 * programs which still start with the old one do not stand before a closed door. Never changed: a reload that is refused
 * leaves the one in force.
 */
export class FormerPasswords {
  readonly #byUser: ReadonlyMap<string, readonly Former[]>;

  constructor(byUser: ReadonlyMap<string, readonly Former[]> = new Map()) {
    this.#byUser = byUser;
  }

  /** Those of `after`, when `before` is in force; both as their files say it. */
  next(before: LoadedConfig, after: LoadedConfig, nowMs: number): FormerPasswords {
    const graceMs = after.general.password_grace_period;
    // 0 also ends what was granted before.
    if (graceMs === 0) return new FormerPasswords();
    const unchanged = new Set(before.users);
    let old: Map<string, Secret[]> | null = null;
    const byUser = new Map<string, readonly Former[]>();
    for (const user of after.users) {
      if (this.#byUser.size === 0 && unchanged.has(user)) continue;
      old ??= new Map(before.users.map((each) => [keyOf(each), secretsOf(each)]));
      const key = keyOf(user);
      const own = secretsOf(user);
      const granted = this.#byUser.get(key) ?? [];
      const was = old.get(key) ?? [];
      if (granted.length === 0 && isSame(was, own)) continue;
      const kept = granted.filter(({ secret, untilMs }) => untilMs > nowMs && !isAmong(secret, own));
      const known = [...own, ...kept.map(({ secret }) => secret)];
      const added = was
        .filter((secret) => !isAmong(secret, known))
        .map((secret) => ({ secret, untilMs: nowMs + graceMs }));
      if (kept.length + added.length > 0) byUser.set(key, [...kept, ...added]);
    }
    return new FormerPasswords(byUser);
  }

  /** The configuration with the passwords that are accepted now behind each user's own. */
  applyTo(loaded: LoadedConfig, nowMs: number): LoadedConfig {
    if (this.#byUser.size === 0) return loaded;
    const users = loaded.users.map((user) => {
      const former = (this.#byUser.get(keyOf(user)) ?? []).filter(({ untilMs }) => untilMs > nowMs);
      if (former.length === 0) return user;
      const passwords = [...secretsOf(user), ...former.map(({ secret }) => secret)];
      return { ...user, passwords, passwordHash: null };
    });
    return { ...loaded, users };
  }

  /** When the next ones are over, epoch ms; null: there are none. */
  endMs(nowMs: number): number | null {
    const ends = [...this.#byUser.values()].flatMap((list) => list.map(({ untilMs }) => untilMs));
    const ahead = ends.filter((untilMs) => untilMs > nowMs);
    return ahead.length === 0 ? null : Math.min(...ahead);
  }
}

function secretsOf({ passwords, passwordHash }: UserEntry): Secret[] {
  return passwordHash === null ? passwords : [...passwords, passwordHash];
}

function isAmong(secret: Secret, others: readonly Secret[]): boolean {
  return others.some((other) => other.reveal() === secret.reveal());
}

function isSame(one: readonly Secret[], other: readonly Secret[]): boolean {
  return (
    one.length === other.length && one.every((secret, place) => secret.reveal() === other[place].reveal())
  );
}

/** A name may have entries of its own for several databases. */
function keyOf({ name, databases }: UserEntry): string {
  return `${name}\0${databases === null ? '*' : databases.join('\0')}`;
}
