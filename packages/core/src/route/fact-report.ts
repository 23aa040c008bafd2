import { bareRoute, type RelationName, type RouteFacts } from '../sql/route-facts.js';
import { statementLabel } from '../sql/statement-labels.js';
import { type ReportEntry, reportEntry } from './route-report.js';

/** What the catalog says of a statement: a reason why it may write, or null. */
export type AskCatalog = (facts: RouteFacts) => string | null;

function nameOf({ schema, name }: RelationName): string {
  return schema === null ? name : `${schema}.${name}`;
}

/** What is known of a statement whoever asks: what it is, and what it depends on. `ask` null: nobody can be asked. */
export function factReport(kind: string, facts: RouteFacts, ask: AskCatalog | null): ReportEntry[] {
  const report = [
    reportEntry('statement', 'Statement', statementLabel(kind)),
    reportEntry('access', 'Access', facts.access),
    reportEntry('reason', 'Because of', facts.reason),
  ];
  const bare = bareRoute('read', '');
  const say = (name: string, only: Partial<RouteFacts>) => {
    if (ask === null) return name;
    return `${name} (${ask({ ...bare, ...only }) ?? 'may run on a replica'})`;
  };
  const list = (key: string, label: string, names: readonly string[]) => {
    if (names.length > 0) report.push(reportEntry(key, label, names));
  };
  list(
    'functions',
    'Functions',
    facts.functions.map((name) => say(name, { functions: [name] })),
  );
  list(
    'relations',
    'Relations',
    facts.relations.map((relation) => say(nameOf(relation), { relations: [relation] })),
  );
  list('executes', 'Executes', facts.executes);
  if (facts.directive !== null) report.push(reportEntry('directive', 'Directive', directiveText(facts)));
  return report;
}

function directiveText({ directive }: RouteFacts): string {
  if (directive === null) return 'none';
  if (directive.error !== null) return `refused: ${directive.error}`;
  const parts = [];
  if (directive.role !== null) parts.push(`role ${directive.role}`);
  if (directive.shard !== null) parts.push(`shard ${directive.shard}`);
  // Its value is a literal.
  if (directive.shardingKey !== null) parts.push('a sharding key');
  return parts.join(', ');
}
