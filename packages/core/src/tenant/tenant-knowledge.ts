import type { RelationName } from '../sql/route-facts.js';
import type { SqlParser } from '../sql/sql-parser.js';
import type { OpenReason, TenantFacts } from './tenant-facts.js';
import { TenantWalk } from './tenant-walk.js';

/** Relations remembered; of a database with more nothing is believed, and every table is taken for a tenant's. */
const RELATIONS_MAX = 200_000;
/** Views that name views that name views… */
const VIEW_DEPTH_MAX = 50;

const KINDS = ['tenantTable', 'tenantView', 'tenantViewWithout', 'tenantHidden', 'tenantFree'] as const;
type Kind = (typeof KINDS)[number];

interface Relation {
  readonly schema: string;
  kind: Kind;
  /** Of a view that has not been read yet. */
  definition: string;
}

/** free: no rows of tenants, or of one only. hidden: of several, whatever a statement says. */
type Judgement = 'free' | 'tenant' | 'hidden';

const WAYS: Record<OpenReason, (name: string, column: string) => string> = {
  filter: (name, column) => `"${name}" must be restricted to one tenant by "${column}" = a value`,
  insert: (name, column) => `INSERT into "${name}" must give the column "${column}"`,
  conflict: (name, column) =>
    `ON CONFLICT DO UPDATE of "${name}" must name "${column}" as a conflict target or restrict it`,
  copyFrom: (name, column) => `COPY into "${name}" must list the column "${column}"`,
  copyTo: (name, column) => `COPY of "${name}" must be a query restricted by "${column}"`,
  truncate: (name) => `TRUNCATE of "${name}" would remove the rows of all tenants`,
};

/**
 * What the catalog of a database says of relations and the tenant's column. Collected from the rows of tenantQuestion();
 * views are read when they are first named.
 */
export class TenantKnowledge {
  readonly column: string;
  isComplete = false;
  private readonly relations = new Map<string, Relation[]>();

  constructor(column: string) {
    this.column = column;
  }

  /** A row of four texts; rows of other questions are passed over. */
  take([kind = '', name = '', schema = '', definition = '']: readonly string[]): void {
    if (kind === 'tenantEnd') this.isComplete = this.relations.size <= RELATIONS_MAX;
    else if (isKind(kind)) {
      const relation = { schema, kind, definition };
      const known = this.relations.get(name);
      if (known === undefined) this.relations.set(name, [relation]);
      else known.push(relation);
    }
  }

  /** Why a statement of these facts is refused; null: it is not. */
  refusal(facts: TenantFacts, parser: SqlParser): string | null {
    if (facts.refusal !== null) return facts.refusal;
    for (const { schema, name } of facts.tables) {
      if (this.judge({ schema, name }, parser, 0) === 'hidden') {
        return `"${name}" shows rows of several tenants, and cannot be restricted by "${this.column}"`;
      }
    }
    for (const { schema, name, why } of facts.open) {
      if (this.judge({ schema, name }, parser, 0) === 'tenant') return WAYS[why](name, this.column);
    }
    return null;
  }

  /** The worst of all it may mean. What is not in the catalog may have been made a moment ago. */
  private judge({ schema, name }: RelationName, parser: SqlParser, depth: number): Judgement {
    // Of the session itself: what is in them came through the same rules.
    if (schema === 'pg_temp') return 'free';
    if (!this.isComplete) return 'tenant';
    const meant = (this.relations.get(name) ?? []).filter(
      (relation) => schema === null || relation.schema === schema,
    );
    if (meant.length === 0) return 'tenant';
    let worst: Judgement = 'free';
    for (const relation of meant) {
      if (relation.definition !== '') this.readView(relation, parser, depth);
      if (relation.kind === 'tenantHidden') return 'hidden';
      if (relation.kind !== 'tenantFree') worst = 'tenant';
    }
    return worst;
  }

  /**
   * A view that shows the column is like a table, if restricting that column restricts all tables behind it; one that does
   * not is free, if it reaches rows of no tenant or of one.
   */
  private readView(relation: Relation, parser: SqlParser, depth: number): void {
    const { kind, definition } = relation;
    relation.definition = '';
    const statements = depth < VIEW_DEPTH_MAX ? parser.parse(definition) : null;
    const [only] = statements === null || statements === 'unread' ? [] : statements;
    const walk = new TenantWalk(this.column);
    const isRead = only?.kind === 'SelectStmt';
    if (isRead) walk.view({ SelectStmt: only.node }, kind === 'tenantView');
    const { refusal, open, tables } = walk.facts();
    const isBad =
      !isRead ||
      refusal !== null ||
      tables.some((table) => this.judge(table, parser, depth + 1) === 'hidden') ||
      open.some((table) => this.judge(table, parser, depth + 1) === 'tenant');
    if (isBad) relation.kind = 'tenantHidden';
    else if (kind === 'tenantViewWithout') relation.kind = 'tenantFree';
  }
}

function isKind(kind: string): kind is Kind {
  return (KINDS as readonly string[]).includes(kind);
}
