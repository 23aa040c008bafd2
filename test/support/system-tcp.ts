import type { TcpSnapshot } from '@pgdog-cluster/core';

/** Options of TCP as the system has them. */
export const SYSTEM_TCP: TcpSnapshot = {
  keepalive: true,
  keepaliveTimeS: 0,
  keepaliveIntervalS: 0,
  keepaliveRetries: 0,
  userTimeoutMs: 0,
  deferAcceptS: 0,
};
