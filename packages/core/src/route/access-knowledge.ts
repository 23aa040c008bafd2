import type { RelationName, RouteFacts } from '../sql/route-facts.js';

/** Functions, and relations, remembered; of a database with more nothing is believed. About 100 bytes each. */
const FUNCTIONS_MAX = 50_000;
const RELATIONS_MAX = 200_000;

/**
 * What the catalog of a database says of functions, operators and relations that a statement may name: which of them
 * make a write of what looks like a read. Collected from the rows of ACCESS_SQL, then only read.
 */
export class AccessKnowledge {
  isComplete = false;
  /** All rows have come, be they too many or not. */
  hasEnded = false;
  /** What any statement may set off, whatever it names. */
  private hiddenReason: string | null = null;
  private readonly good = new Set<string>();
  private readonly bad = new Set<string>();
  private readonly operators = new Set<string>();
  private readonly attributes = new Set<string>();
  /** Roles, with the reason. */
  private readonly primaryOnly = new Map<string, string>();
  /** Schemas by name of the relation. */
  private readonly relations = new Map<string, string[]>();

  /** A row of three texts; rows of other questions are passed over. */
  take([kind = '', name = '', detail = '']: readonly string[]): void {
    switch (kind) {
      case 'good':
        this.good.add(name);
        break;
      case 'bad':
        this.bad.add(name);
        break;
      case 'attribute':
        this.attributes.add(name);
        break;
      case 'operator':
        this.operators.add(name);
        break;
      case 'hidden':
        this.hiddenReason = detail;
        break;
      case 'serializable':
        this.primaryOnly.set(name, detail);
        break;
      case 'relation': {
        const schemas = this.relations.get(name);
        if (schemas === undefined) this.relations.set(name, [detail]);
        else schemas.push(detail);
        break;
      }
      case 'accessEnd':
        this.hasEnded = true;
        this.isComplete =
          this.good.size + this.bad.size <= FUNCTIONS_MAX && this.relations.size <= RELATIONS_MAX;
    }
  }

  /** Why no statement at all is for replicas; null: some are. */
  get whyNothing(): string | null {
    return this.isComplete ? this.hiddenReason : 'it has more functions or relations than are remembered';
  }

  /** Why a statement of these facts must run on the primary although its text only reads; null: it need not. */
  whyWrite(route: RouteFacts): string | null {
    if (this.hiddenReason !== null) return this.hiddenReason;
    for (const path of route.functions) {
      const name = path.slice(path.indexOf('.') + 1);
      if (this.bad.has(name)) return `calls ${name}(), which may be VOLATILE`;
      if (!this.good.has(name)) return `calls ${name}(), which is not in the catalog`;
    }
    const called = route.builtins.find((name) => this.bad.has(name));
    if (called !== undefined) return `calls ${called}(), of which a VOLATILE one exists`;
    const operator = route.operators.find((name) => this.operators.has(name));
    if (operator !== undefined) return `uses the operator ${operator}, of which a VOLATILE one exists`;
    const attribute = route.attributes.find((name) => this.attributes.has(name));
    if (attribute !== undefined) return `reads .${attribute}, which may be a call of a VOLATILE function`;
    const relation = route.relations.find((each) => this.isMarked(each));
    return relation === undefined ? null : `reads ${relation.name}, which is not for replicas`;
  }

  /** Why nothing that a role asks is for replicas; null: there is nothing of the kind. */
  whyPrimaryOnly(role: string): string | null {
    return this.primaryOnly.size === 0 ? null : (this.primaryOnly.get(role) ?? null);
  }

  private isMarked({ schema, name }: RelationName): boolean {
    const schemas = this.relations.get(name);
    return schemas !== undefined && (schema === null || schemas.includes(schema));
  }
}
