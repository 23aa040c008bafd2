/** Of two lists, what is left without the same objects at the beginning and at the end of both: mostly hardly anything. */
export function differing<T>(
  before: readonly T[],
  after: readonly T[],
): [before: readonly T[], after: readonly T[]] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return [before.slice(start, before.length - end), after.slice(start, after.length - end)];
}
