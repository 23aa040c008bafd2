/** Entries of [[databases]] whose name is a pattern, and lists of users that name patterns. */
import { isListed, isPattern, literalLength, patternsMeet } from '../base/name-pattern.js';
import type { Placed } from './cross-checks.js';
import { hasPlaceholder, hostTemplateProblem, placeholderProblem } from './database-template.js';
import type { DatabaseEntry, UserEntry } from './loaded-config.js';
import type { ProblemList } from './problem-list.js';
import type { DatabaseInput } from './schema.js';

type PlacedDatabase = Placed<DatabaseInput, DatabaseEntry>;

/** Each of them is looked at for every name that is not configured. */
const PATTERNS_MAX = 1_000;

export function checkTemplates(databases: readonly PlacedDatabase[], problems: ProblemList): void {
  const placed = databases.filter(({ entry }) => isPattern(entry.name));
  for (const each of placed) checkTemplate(each, problems);
  const firsts = new Map<string, PlacedDatabase>();
  for (const each of placed) if (!firsts.has(each.entry.name)) firsts.set(each.entry.name, each);
  if (firsts.size > PATTERNS_MAX) {
    const text = `${firsts.size} names with "*", of which ${PATTERNS_MAX} are allowed`;
    problems.error(placed[0].origin.place('name'), text);
    return;
  }
  const names = [...firsts.keys()];
  for (const [index, name] of names.entries()) {
    const twin = names
      .slice(0, index)
      .find((other) => literalLength(other) === literalLength(name) && patternsMeet(other, name));
    if (twin === undefined) continue;
    const text = `"${name}" and "${twin}" are equally exact, and there are names that fit both: make one of them longer`;
    problems.error(firsts.get(name)!.origin.place('name'), text);
  }
}

function checkTemplate({ input, entry, origin }: PlacedDatabase, problems: ProblemList): void {
  const refuse = (key: keyof DatabaseInput, text: string | null): void => {
    if (text !== null) problems.error(origin.place(key), text);
  };
  refuse('host', hostTemplateProblem(entry.host, entry.name));
  refuse('database_name', placeholderProblem(entry.serverDatabase, entry.name));
  if (input.user !== undefined && hasPlaceholder(input.user)) {
    refuse('user', 'the client would choose who it is on the server: expected a name without placeholders');
  }
  if (entry.shard > 0) refuse('shard', 'databases that are made of a pattern have one shard');
  if (input.patroni_url !== undefined && hasPlaceholder(entry.host)) {
    refuse('patroni_url', 'one for all hosts, which differ by database here');
  }
  if ((entry.overrides.minPoolSize ?? 0) > 0) {
    const text =
      'keeps server connections of every database that was ever asked for: none of them is forgotten when idle';
    problems.warning(origin.place('min_pool_size'), text);
  }
}

/** Whether a database of the entry may be one of the user's, whose list has names and patterns. */
export function concernsUser({ databases }: Pick<UserEntry, 'databases'>, name: string): boolean {
  if (databases === null) return true;
  return databases.some(
    (listed) => isListed(listed, name) || (isPattern(name) && patternsMeet(listed, name)),
  );
}

/** Whether two lists of one user have a database in common. */
export function listsMeet(mine: readonly string[] | null, theirs: readonly string[] | null): boolean {
  if (mine === null || theirs === null) return true;
  const others = new Set(theirs);
  if (mine.some((name) => others.has(name))) return true;
  const patterns = theirs.filter(isPattern);
  return mine.some((name) =>
    (isPattern(name) ? theirs : patterns).some((other) => patternsMeet(name, other)),
  );
}

/** Is there a database for what a user's list names? */
export function isServed(listed: string, known: ReadonlySet<string>, patterns: readonly string[]): boolean {
  if (known.has(listed) || patterns.some((pattern) => patternsMeet(pattern, listed))) return true;
  return isPattern(listed) && [...known].some((name) => isListed(listed, name));
}
