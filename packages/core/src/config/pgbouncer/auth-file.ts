/** userlist.txt: `"user" "secret"` a line, quotes doubled, the rest of the line ignored, comments after `;`. */
import type { SourceText } from '../parse-document.js';
import type { Place, ProblemList } from '../problem-list.js';

export interface ListedUser {
  name: string;
  /** In clear, `md5…` or `SCRAM-SHA-256$…`; empty = none. */
  secret: string;
  place: Place;
}

const LINE = /^"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"/;

/** By name; of two lines with one name the later counts, as in PgBouncer, with a warning. Quotes no line: they hold passwords. */
export function readAuthFile(source: SourceText, problems: ProblemList): Map<string, ListedUser> {
  const users = new Map<string, ListedUser>();
  for (const [index, raw] of source.text.split('\n').entries()) {
    const text = raw.trim();
    if (text === '' || text.startsWith(';')) continue;
    const place = { source: source.name, line: index + 1, key: '' };
    const match = LINE.exec(text);
    if (match === null || match[1] === '') {
      problems.error(place, 'expected "user" "password", both in double quotes');
      continue;
    }
    const name = match[1].replaceAll('""', '"');
    const earlier = users.get(name);
    if (earlier !== undefined) {
      problems.warning(place, `"${name}" stands in line ${earlier.place.line} already; this line counts`);
    }
    users.set(name, { name, secret: match[2].replaceAll('""', '"'), place });
  }
  return users;
}
