import type { LogThresholds } from '@pgdog-cluster/core';
import type { LoadedConfig, PoolOverrides } from '@pgdog-cluster/core/config';

/** user > database > general. None at all: nothing is told to the workers. */
export function logThresholds(
  mine: PoolOverrides,
  theirs: PoolOverrides,
  general: LoadedConfig['general'],
  durationMs: (value: number) => number,
): { logMin?: LogThresholds } {
  const logMin: LogThresholds = {
    statementMs: durationMs(
      mine.logMinStatementMs ?? theirs.logMinStatementMs ?? general.log_min_duration_statement,
    ),
    transactionMs: durationMs(
      mine.logMinTransactionMs ?? theirs.logMinTransactionMs ?? general.log_min_duration_transaction,
    ),
    checkoutMs: durationMs(
      mine.logMinCheckoutMs ?? theirs.logMinCheckoutMs ?? general.log_min_duration_checkout,
    ),
  };
  const isAny = logMin.statementMs > 0 || logMin.transactionMs > 0 || logMin.checkoutMs > 0;
  return isAny ? { logMin } : {};
}
