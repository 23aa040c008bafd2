/** Why a statement goes where it goes, for EXPLAIN (PGDOG) and `pgdog-cluster route`: keys for programs, labels for people. */
export interface ReportEntry {
  readonly key: string;
  readonly label: string;
  /** A list has a line per item in `hosts` and the like, else its items stand behind one another. */
  readonly value: string | readonly string[];
  readonly isLinewise?: boolean;
}

export type RouteReport = readonly ReportEntry[];

export function reportEntry(key: string, label: string, value: string | readonly string[]): ReportEntry {
  return { key, label, value };
}

/** A list of which each item has a line of its own. */
export function reportList(key: string, label: string, value: readonly string[]): ReportEntry {
  return { key, label, value, isLinewise: true };
}

/** As text. */
export function reportLines(report: RouteReport): string[] {
  return report.flatMap(({ label, value, isLinewise }) => {
    if (typeof value === 'string') return [`${label}: ${value}`];
    return isLinewise === true ? value.map((item) => `${label}: ${item}`) : [`${label}: ${value.join(', ')}`];
  });
}

/** As an object for JSON. */
export function reportObject(report: RouteReport): Record<string, string | readonly string[]> {
  return Object.fromEntries(report.map(({ key, value }) => [key, value]));
}
