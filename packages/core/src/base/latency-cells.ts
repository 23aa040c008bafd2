// ● per-frame path
/*
 * How long something took, as one of LATENCY_CELLS: four to an octave, so that a cell is at most a quarter wide. What is
 * faster than a turn of the loop tells apart shares the first cell, what takes minutes the last one.
 */
const FIRST_US = 32;
const FIRST_OCTAVE = 5;
const LAST_OCTAVE = 28;

export const LATENCY_CELLS = 1 + (LAST_OCTAVE - FIRST_OCTAVE) * 4;

export function latencyCell(us: number): number {
  if (us < FIRST_US) return 0;
  if (us >= 2 ** LAST_OCTAVE) return LATENCY_CELLS - 1;
  const octave = 31 - Math.clz32(us);
  return 1 + (octave - FIRST_OCTAVE) * 4 + ((us >>> (octave - 2)) & 3);
}

/** Where a cell begins, us. The one behind the last begins where the last ends. */
export function latencyCellStartUs(cell: number): number {
  if (cell === 0) return 0;
  const step = cell - 1;
  return 2 ** (FIRST_OCTAVE + (step >> 2) - 2) * (4 + (step & 3));
}

/**
 * What `share` of the durations does not exceed, us; between the ends of a cell by proportion, and never more than was
 * ever seen. 0 when there are none.
 */
export function latencyQuantileUs(cells: ArrayLike<number>, share: number, maxUs: number): number {
  let total = 0;
  for (let cell = 0; cell < cells.length; cell++) total += cells[cell];
  let left = total * share;
  for (let cell = 0; cell < cells.length; cell++) {
    const count = cells[cell];
    if (count > 0 && left <= count) {
      const start = latencyCellStartUs(cell);
      const isLast = cell === LATENCY_CELLS - 1;
      const end = isLast ? maxUs : latencyCellStartUs(cell + 1);
      return Math.min(maxUs, start + (end - start) * (left / count));
    }
    left -= count;
  }
  return total === 0 ? 0 : maxUs;
}
