import type { PoolSnapshot } from '@pgdog-cluster/core';

/** What takes as long is logged, us. Infinity: never. */
export class SlowThresholds {
  statementUs = Number.POSITIVE_INFINITY;
  transactionUs = Number.POSITIVE_INFINITY;
  checkoutUs = Number.POSITIVE_INFINITY;

  constructor(snapshot: PoolSnapshot) {
    this.takeUp(snapshot);
  }

  /** As the configuration has them now. */
  takeUp({ logMin }: PoolSnapshot): void {
    this.statementUs = thresholdUs(logMin?.statementMs);
    this.transactionUs = thresholdUs(logMin?.transactionMs);
    this.checkoutUs = thresholdUs(logMin?.checkoutMs);
  }
}

/** What is compared with it each time is never too quick for none. */
function thresholdUs(ms = 0): number {
  return ms === 0 ? Number.POSITIVE_INFINITY : ms * 1000;
}
