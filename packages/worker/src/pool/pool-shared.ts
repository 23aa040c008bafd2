import { KnownReports } from './known-reports.js';
import { ReportedParameters } from './reported-parameters.js';

/** What the pools of one database and user have in common, whichever host they go to. */
export class PoolShared {
  readonly reported = new ReportedParameters();
  readonly knownReports = new KnownReports();
}
