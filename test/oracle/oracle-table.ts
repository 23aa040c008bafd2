/** The table of the documentation: how many statements of each construct are answered. */

/** Of one construct. */
const HOME_DEPENDENT_MAX = 2;

type Counts = ReadonlyMap<string, { equal: number; refused: number }>;

export function exactTable(constructs: Counts): string {
  const rows = [...constructs].map(([name, { equal, refused }]) => `| ${name} | ${equal} | ${refused} |`);
  const sum = (key: 'equal' | 'refused'): number =>
    [...constructs.values()].reduce((total, counts) => total + counts[key], 0);
  return [
    '| statements | equal | refused |',
    '|---|---|---|',
    ...rows,
    `| all | ${sum('equal')} | ${sum('refused')} |`,
  ].join('\n');
}

/** Of statements made from a seed, which come in any order. */
export function madeTable(constructs: Counts): string {
  return exactTable(new Map([...constructs].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** What a table says that exactTable() has made. */
function countsOf(document: string, mark: string): Map<string, { equal: number; refused: number }> {
  const [begin, end] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`].map((each) =>
    document.indexOf(each),
  );
  const rows = document
    .slice(begin, end)
    .split('\n')
    .map((line) => line.split(' | '))
    .filter(({ length }) => length === 3);
  return new Map(
    rows.map(([name, equal, refused]) => [
      name.replace('| ', ''),
      { equal: Number(equal), refused: Number(refused.replace(' |', '')) },
    ]),
  );
}

/**
 * Where a document's table is not what has been found: `construct: what`. A statement or two of a construct may be refused at
 * one time and not at another: where a client asks what any shard can answer is a matter of its number.
 */
export function outdatedRows(document: string, constructs: Counts, mark = 'oracle'): string[] {
  const told = countsOf(document, mark);
  return [...constructs].flatMap(([name, { equal, refused }]) => {
    const row = told.get(name);
    if (row === undefined) return [`${name}: is not in it`];
    const isTold =
      row.equal + row.refused === equal + refused && Math.abs(row.refused - refused) <= HOME_DEPENDENT_MAX;
    return isTold
      ? []
      : [`${name}: ${equal} equal and ${refused} refused, it says ${row.equal} and ${row.refused}`];
  });
}

/** @param mark which table of the document */
export function withTable(document: string, table: string, mark = 'oracle'): string {
  const [opening, closing] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`];
  const [begin, end] = [document.indexOf(opening), document.indexOf(closing)];
  if (begin < 0 || end < begin) throw new Error(`the document has no place for the table (${opening})`);
  return `${document.slice(0, begin + opening.length)}\n${table}\n${document.slice(end)}`;
}
