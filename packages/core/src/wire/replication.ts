/** What a start-up packet asks for with `replication`: WAL of the cluster, changes of one database, or neither. */
export type Replication = 'none' | 'physical' | 'logical';

const TRUE_WORDS = ['true', 'yes', 'on'];
const FALSE_WORDS = ['false', 'no', 'off'];
/** "o" alone could be either. */
const ON_OFF_CHARS_MIN = 2;

/**
 * Value of the start-up parameter `replication`, as Postgres reads it (ProcessStartupPacket; parse_bool in bool.c):
 * `database`, or a boolean, of which unique beginnings count in either case. Null: Postgres refuses it.
 */
export function parseReplication(value: string): Replication | null {
  if (value === 'database') return 'logical';
  const word = value.toLowerCase();
  if (word === '1' || isBeginning(word, TRUE_WORDS)) return 'physical';
  return word === '0' || isBeginning(word, FALSE_WORDS) ? 'none' : null;
}

function isBeginning(word: string, words: readonly string[]): boolean {
  return words.some((whole) => {
    const charsMin = whole.startsWith('o') ? ON_OFF_CHARS_MIN : 1;
    return word.length >= charsMin && whole.startsWith(word);
  });
}
