import type { ParameterSet } from '../session/parameter-set.js';

/** Start-up settings whose reports are remembered; more distinct ones cost a round trip at login. */
const KNOWN_REPORTS_MAX = 1024;

/** What servers of a pool report with which start-up settings: spares most logins a server connection. */
export class KnownReports {
  private readonly byKey = new Map<string, ReadonlyMap<string, string>>();

  /** Null when no server has been asked yet. */
  of(parameters: ParameterSet): ReadonlyMap<string, string> | null {
    return this.byKey.get(parameters.key) ?? null;
  }

  note(parameters: ParameterSet, reported: ReadonlyMap<string, string>): void {
    if (this.byKey.size >= KNOWN_REPORTS_MAX) this.byKey.clear();
    this.byKey.set(parameters.key, reported);
  }

  clear(): void {
    this.byKey.clear();
  }
}
