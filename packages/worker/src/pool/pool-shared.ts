import type { ShardOids } from '@pgdog-cluster/core';
import { KnownReports } from './known-reports.js';
import { ReportedParameters } from './reported-parameters.js';

/** What the pools of one database and user have in common, whichever host they go to. */
export class PoolShared {
  readonly reported: ReportedParameters;
  readonly knownReports = new KnownReports();
  /** Of the shard they are on, where it differs from the first; see ShardedDatabases. */
  oids: ShardOids | null = null;

  constructor(isRouted = false) {
    this.reported = new ReportedParameters(isRouted);
  }
}
