import { NO_SCOPE, type ShardScope } from '@pgdog-cluster/core';
import type { ParameterSet } from '../session/parameter-set.js';
import type { Session } from '../session/session.js';
import { searchPathOf } from './search-path.js';
import type { ShardedDatabase } from './sharded-database.js';

/** What a session's statements mean, by its search path and the catalog. */
export class SessionScope {
  private readonly session: Session;
  private readonly database: ShardedDatabase;
  /** By the state of the database and the settings it was made with. */
  private known: ShardScope = NO_SCOPE;
  private state = -1;
  private parameters: ParameterSet | null = null;

  constructor(session: Session, database: ShardedDatabase) {
    this.session = session;
    this.database = database;
  }

  /** NO_SCOPE: nothing is known of the catalog, and what is asked must wait. */
  get current(): ShardScope {
    const { database, session } = this;
    const { catalog, state } = database;
    if (catalog === null || database.isStale) return NO_SCOPE;
    if (state !== this.state || session.parameters !== this.parameters) {
      const path = this.searchPath;
      this.known = path === null ? NO_SCOPE : database.scopeFor(path);
      this.state = state;
      this.parameters = session.parameters;
    }
    return this.known;
  }

  /** Null: it cannot be read, or the catalog is not known. */
  get searchPath(): readonly string[] | null {
    const { catalog } = this.database;
    const { parameters, user, context } = this.session;
    return catalog === null ? null : searchPathOf(parameters, user, catalog, context.parser);
  }
}
