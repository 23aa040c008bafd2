/**
 * Names of databases with stars: `tenant_*`, `*`, `*_prod_*`. A star stands for one character or more. Where it could be
 * cut in several ways, what stands for the first stars is as short as may be.
 */

/** Database names of Postgres are no longer. */
export const DATABASE_NAME_BYTES_MAX = 63;

export function isPattern(name: string): boolean {
  return name.includes('*');
}

/** What the stars stand for, in their order; null: the name does not fit. Costs a pass over the name. */
export function matchPattern(pattern: string, name: string): string[] | null {
  const texts = pattern.split('*');
  const last = texts.length - 1;
  if (last === 0) return pattern === name ? [] : null;
  const endAt = name.length - texts[last].length;
  if (!name.startsWith(texts[0]) || !name.endsWith(texts[last])) return null;
  const stars: string[] = [];
  let at = texts[0].length;
  for (let index = 1; index < last; index++) {
    const found = name.indexOf(texts[index], at + 1);
    if (found === -1) return null;
    stars.push(name.slice(at, found));
    at = found + texts[index].length;
  }
  if (at >= endAt) return null;
  stars.push(name.slice(at, endAt));
  return stars;
}

/** Whether an entry that is for `listed`, a name or a pattern, is for the database. */
export function isListed(listed: string, database: string): boolean {
  return listed === database || (isPattern(listed) && matchPattern(listed, database) !== null);
}

/** Of two patterns that fit, the one with more text of its own counts. */
export function literalLength(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

/** The most exact pattern that fits a name, of those `inOrder` (see `byExactness`). */
export function firstMatch<T extends { pattern: string }>(inOrder: readonly T[], name: string): T | null {
  for (const each of inOrder) if (matchPattern(each.pattern, name) !== null) return each;
  return null;
}

export function byExactness(one: { pattern: string }, other: { pattern: string }): number {
  return literalLength(other.pattern) - literalLength(one.pattern);
}

/** Is there a name that fits both? Names without stars are patterns that one name fits. */
export function patternsMeet(one: string, other: string): boolean {
  const [mine, theirs] = [stepsOf(one), stepsOf(other)];
  // reached[b]: the first `a` steps of mine and the first b of theirs can stand for the same text.
  let reached = new Array<boolean>(theirs.length + 1).fill(false);
  reached[0] = true;
  for (let b = 0; b < theirs.length && theirs[b] === MANY; b++) reached[b + 1] = true;
  for (const step of mine) {
    const next = new Array<boolean>(theirs.length + 1).fill(false);
    next[0] = step === MANY && reached[0];
    for (let b = 0; b < theirs.length; b++) {
      if (step === MANY) next[b + 1] = reached[b + 1] || next[b];
      else if (theirs[b] === MANY) next[b + 1] = next[b] || reached[b + 1];
      else next[b + 1] = reached[b] && (step === ONE || theirs[b] === ONE || step === theirs[b]);
    }
    reached = next;
  }
  return reached[theirs.length];
}

/** Any one character; any number of them. No step of a name is as long. */
const ONE = 'one';
const MANY = 'many';

function stepsOf(pattern: string): string[] {
  return [...pattern].flatMap((character) => (character === '*' ? [ONE, MANY] : [character]));
}
