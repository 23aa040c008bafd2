/** The table of the documentation: how many statements of each construct are answered. */

export interface Counts {
  equal: number;
  refused: number;
  /** Of these, cases that may be the one or the other (OracleCase.isByHome). */
  byHome?: number;
}

type CountsOf = ReadonlyMap<string, Counts>;

const ALL = 'all';

export function exactTable(constructs: CountsOf): string {
  const rows = [...constructs].map(([name, { equal, refused }]) => `| ${name} | ${equal} | ${refused} |`);
  const { equal, refused } = sumOf(constructs);
  return [
    '| statements | equal | refused |',
    '|---|---|---|',
    ...rows,
    `| ${ALL} | ${equal} | ${refused} |`,
  ].join('\n');
}

function sumOf(constructs: CountsOf): Required<Counts> {
  const sum = { equal: 0, refused: 0, byHome: 0 };
  for (const { equal, refused, byHome = 0 } of constructs.values()) {
    sum.equal += equal;
    sum.refused += refused;
    sum.byHome += byHome;
  }
  return sum;
}

/** Of statements made from a seed, which come in any order. */
export function madeTable(constructs: CountsOf): string {
  return exactTable(new Map([...constructs].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** What a table says that exactTable() has made. */
function countsOf(document: string, mark: string): Map<string, Counts> {
  const [begin, end] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`].map((each) =>
    document.indexOf(each),
  );
  const rows = document
    .slice(begin, end)
    .split('\n')
    .filter((line) => /\| \d+ \| \d+ \|$/.test(line))
    .map((line) => line.split(' | '));
  return new Map(
    rows.map(([name, equal, refused]) => [
      name.replace('| ', ''),
      { equal: Number(equal), refused: Number(refused.replace(' |', '')) },
    ]),
  );
}

/** Where a document's table is not what has been found: `construct: what`. */
export function outdatedRows(document: string, constructs: CountsOf, mark = 'oracle'): string[] {
  const told = countsOf(document, mark);
  const found = new Map([...constructs, [ALL, sumOf(constructs)]]);
  const gone = [...told.keys()].filter((name) => !found.has(name)).map((name) => `${name}: is only in it`);
  const others = [...found].flatMap(([name, { equal, refused, byHome = 0 }]) => {
    const row = told.get(name);
    if (row === undefined) return [`${name}: is not in it`];
    const isTold = row.equal + row.refused === equal + refused && Math.abs(row.refused - refused) <= byHome;
    return isTold
      ? []
      : [`${name}: ${equal} equal and ${refused} refused, it says ${row.equal} and ${row.refused}`];
  });
  return [...others, ...gone];
}

/** @param mark which table of the document */
export function withTable(document: string, table: string, mark = 'oracle'): string {
  const [opening, closing] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`];
  const [begin, end] = [document.indexOf(opening), document.indexOf(closing)];
  if (begin < 0 || end < begin) throw new Error(`the document has no place for the table (${opening})`);
  return `${document.slice(0, begin + opening.length)}\n${table}\n${document.slice(end)}`;
}
