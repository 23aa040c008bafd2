import { HARMLESS_FUNCTIONS } from './harmless-functions.js';
import { WordTable } from './word-table.js';

/** Words that the readings without a parse tree must tell apart. 0 is every other word. */
export const WORD_INSERT = 1;
export const WORD_INTO = 2;
export const WORD_MERGE = 3;
export const WORD_AS = 4;
export const WORD_ON = 5;
export const WORD_CONFLICT = 6;
export const WORD_OVER = 7;
export const WORD_JOIN = 8;
export const WORD_CASE = 9;
export const WORD_END = 10;
export const WORD_PG_CATALOG = 11;
export const WORD_SHOW = 12;
/** COMMIT, ABORT, ROLLBACK; END too, but that one also ends a CASE. */
export const WORD_FINISH = 13;
/** WORK, TRANSACTION. */
export const WORD_WORK = 14;
export const WORD_UPDATE = 15;
/** The view whose rows are the settings: an UPDATE of it is a SET. */
export const WORD_PG_SETTINGS = 16;

export const WORD_MASK = 0x1f;
/** '(' after this word calls nothing, or a function from the harmless list. */
export const IS_SAFE_BEFORE_PAREN = 0x20;
/** A statement that starts with this word reads or writes rows and does nothing else by itself. */
export const STARTS_QUERY = 0x40;
/** The same, or it controls transactions, cursors, or shows a setting. */
export const STARTS_PLAIN = 0x80;

/**
 * Words that cannot name a function when unquoted: reserved ones, and those Postgres reserves for its own
 * function-like syntax and type names (gram.y's reserved_keyword and col_name_keyword), in all versions since
 * 13. Unreserved ones (BY, OVER, CONFLICT…) and JOIN, IS… are not here: a user may own a function by(…).
 */
const SAFE_KEYWORDS =
  'all and any array as between bigint bit both case cast char character check coalesce dec decimal distinct ' +
  'else end except exists extract false float from greatest grouping having in int integer intersect ' +
  'interval lateral leading least limit not null nullif numeric offset on only or overlay position ' +
  'precision real returning row select smallint some substring symmetric then time timestamp trailing trim ' +
  'true union unique using values varchar variadic when where with xmlattributes xmlconcat xmlelement ' +
  'xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize';

function buildWords(): Map<string, number> {
  const words = new Map<string, number>();
  const add = (text: string, bits: number): void => {
    for (const word of text.split(' ')) words.set(word, (words.get(word) ?? 0) | bits);
  };
  for (const name of HARMLESS_FUNCTIONS) add(name, IS_SAFE_BEFORE_PAREN);
  add(SAFE_KEYWORDS, IS_SAFE_BEFORE_PAREN);
  add('select insert update delete merge values table with', STARTS_QUERY | STARTS_PLAIN);
  add('begin start commit end abort rollback show fetch move', STARTS_PLAIN);
  add('insert', WORD_INSERT);
  add('into', WORD_INTO);
  add('merge', WORD_MERGE);
  add('as', WORD_AS);
  add('on', WORD_ON);
  add('conflict', WORD_CONFLICT);
  add('over', WORD_OVER);
  add('join', WORD_JOIN);
  add('case', WORD_CASE);
  add('end', WORD_END);
  add('pg_catalog', WORD_PG_CATALOG);
  add('show', WORD_SHOW);
  add('commit abort rollback', WORD_FINISH);
  add('work transaction', WORD_WORK);
  add('update', WORD_UPDATE);
  add('pg_settings', WORD_PG_SETTINGS);
  return words;
}

export const sqlWords = new WordTable(buildWords());
