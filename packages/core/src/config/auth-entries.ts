/** What authentication needs of databases and users beside their own entries. */
import { readSecretForm } from '../auth/secret-form.js';
import type { GeneralSettings } from './defaults.js';
import type { AuthQueryEntry, DatabaseEntry, UserEntry } from './loaded-config.js';
import type { DatabaseInput } from './schema.js';
import type { Secret } from './secret.js';
import type { AuthType } from './snapshot.js';

/** One word for each method, whichever of its names was written. */
export function authTypeOf(written: string): AuthType {
  if (written === 'scram-sha-256') return 'scram';
  return written === 'password' ? 'plain' : (written as AuthType);
}

type AuthSettings = Pick<GeneralSettings, 'auth_user' | 'auth_dbname' | 'auth_query'>;

/** The database's keys over the general ones; null when nobody is named who could ask. */
export function toAuthQuery(
  input: DatabaseInput,
  entry: Pick<DatabaseEntry, 'name'>,
  general: AuthSettings,
  passwords: { own: Secret | null; general: Secret | null },
): AuthQueryEntry | null {
  const user = input.auth_user ?? general.auth_user;
  if (user === null) return null;
  // The general password belongs to the general user.
  const isGeneralUser = user === general.auth_user;
  return {
    user,
    password: passwords.own ?? (isGeneralUser ? passwords.general : null),
    database: input.auth_dbname ?? general.auth_dbname ?? entry.name,
    sql: input.auth_query ?? general.auth_query,
  };
}

/** Where no password of auth_user is given, that of its own entry serves; null: it has none in clear. */
export function authPasswords(users: readonly UserEntry[]): (user: string) => Secret | null {
  const known = new Map<string, Secret | null>();
  return (user) => {
    let password = known.get(user);
    if (password === undefined) {
      const passwords = users.filter(({ name }) => name === user).flatMap((entry) => entry.passwords);
      password = passwords.find((each) => readSecretForm(each.reveal()).kind === 'clear') ?? null;
      known.set(user, password);
    }
    return password;
  };
}
