/** A reading of the catalog that was under way when it was asked for may miss what is looked for; the next one does not. */
const READINGS_MAX = 2;

/** How long a session has waited for the catalog, in readings of it. */
export class CatalogWait {
  /** Readings when it began; -1: it does not wait. */
  private since = -1;

  begin(readings: number): void {
    if (this.since < 0) this.since = readings;
  }

  end(): void {
    this.since = -1;
  }

  /** Whether it has seen what it has waited for, and it was not there; it then waits no more. Begins the wait. */
  isOver(readings: number): boolean {
    this.begin(readings);
    const isOver = readings - this.since >= READINGS_MAX;
    if (isOver) this.end();
    return isOver;
  }
}
