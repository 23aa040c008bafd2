/** The table of the documentation: how many statements of each construct are answered. */

const BEGIN = '<!-- oracle: begin -->';
const END = '<!-- oracle: end -->';

export function exactTable(constructs: ReadonlyMap<string, { equal: number; refused: number }>): string {
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

export function withTable(document: string, table: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`the document has no place for the table (${BEGIN} … ${END})`);
  return `${document.slice(0, begin + BEGIN.length)}\n${table}\n${document.slice(end)}`;
}
