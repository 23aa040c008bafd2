const TIME_WORDS: readonly string[] = ['now', 'today', 'tomorrow', 'yesterday'];

/** Types of a Parse that read such words: date, timestamp, timestamptz, time, timetz, and arrays of these. */
export const TIME_OIDS: ReadonlySet<number> = new Set([
  1082, 1114, 1184, 1083, 1266, 1182, 1115, 1185, 1183, 1270,
]);

/** Read as a date or a time, the text may depend on when its transaction began. */
export function mayTellTime(text: string): boolean {
  const folded = text.toLowerCase();
  return TIME_WORDS.some((word) => folded.includes(word));
}
