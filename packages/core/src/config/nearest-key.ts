/** Longest key that is compared; longer ones are no typing mistakes, and the table is quadratic. */
const KEY_LENGTH_MAX = 64;

/**
 * Number of insertions, deletions, replacements and swaps of neighbours that turn one word into the other
 * (optimal string alignment). Swaps count once since they are the commonest slip of the fingers.
 */
export function editDistance(source: string, target: string): number {
  const width = target.length + 1;
  const cells = new Uint16Array((source.length + 1) * width);
  for (let column = 0; column < width; column++) cells[column] = column;
  for (let row = 1; row <= source.length; row++) {
    cells[row * width] = row;
    for (let column = 1; column < width; column++) {
      const at = row * width + column;
      const isSame = source[row - 1] === target[column - 1];
      let best = cells[at - width - 1] + (isSame ? 0 : 1);
      best = Math.min(best, cells[at - width] + 1, cells[at - 1] + 1);
      const isSwap =
        row > 1 &&
        column > 1 &&
        source[row - 1] === target[column - 2] &&
        source[row - 2] === target[column - 1];
      if (isSwap) best = Math.min(best, cells[at - 2 * width - 2] + 1);
      cells[at] = best;
    }
  }
  return cells[cells.length - 1];
}

/** Pieces of a name in alphabetical order: `size_pool_min` and `min_pool_size` are the same words. */
function words(key: string): string {
  return key.split('_').sort().join('_');
}

/**
 * The known key that was most likely meant, or null when none is near: about a third of the letters may
 * differ, the same words may stand in another order, or a word may be missing (`pool_size` for
 * `default_pool_size`). One word alone says too little for that: `timeout` is in a dozen keys.
 */
export function nearestKey(key: string, known: Iterable<string>): string | null {
  if (key.length > KEY_LENGTH_MAX) return null;
  const asked = key.toLowerCase().replaceAll('-', '_');
  const askedWords = words(asked);
  let nearest: string | null = null;
  let nearestDistance = Math.max(1, Math.ceil(asked.length / 3));
  for (const candidate of known) {
    const distance = words(candidate) === askedWords ? 0 : editDistance(asked, candidate);
    if (distance < nearestDistance || (distance === nearestDistance && nearest === null)) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  if (nearest !== null || !asked.includes('_')) return nearest;
  for (const candidate of known) if (candidate.includes(asked)) return candidate;
  return null;
}
