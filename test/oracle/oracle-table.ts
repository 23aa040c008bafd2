/** The table of the documentation: how many statements of each construct are answered. */

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

/** @param mark which table of the document */
export function withTable(document: string, table: string, mark = 'oracle'): string {
  const [opening, closing] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`];
  const [begin, end] = [document.indexOf(opening), document.indexOf(closing)];
  if (begin < 0 || end < begin) throw new Error(`the document has no place for the table (${opening})`);
  return `${document.slice(0, begin + opening.length)}\n${table}\n${document.slice(end)}`;
}
