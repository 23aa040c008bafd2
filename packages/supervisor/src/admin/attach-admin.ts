import { type ConfigSnapshot, ORDER_BAN } from '@pgdog-cluster/core';
import { listSettings } from '@pgdog-cluster/core/config';
import { RecentLog } from '../log/recent-log.js';
import { sourceTrace } from '../log/source-trace.js';
import type { Supervisor } from '../supervisor.js';
import { VERSION } from '../version.js';
import type { AdminContext } from './admin-context.js';
import { createAdminHandler } from './admin-handler.js';
import { HostProbe } from './host-probe.js';
import { StatsWindow } from './stats-window.js';

export interface AttachedAdmin {
  context: AdminContext;
  /** Resolves when a SHUTDOWN command has run its course; rejects as Supervisor.drain() does. */
  ended: Promise<void>;
  /** Stops the sampling of statistics. Idempotent. */
  close(): void;
}

/** Answers admin commands from now on. The supervisor must have published its configuration. */
export function attachAdmin(supervisor: Supervisor, recentLog = new RecentLog()): AttachedAdmin {
  const { memory, startedMs } = supervisor;
  const config = (): ConfigSnapshot => supervisor.snapshot;
  const probe = new HostProbe();
  const window = new StatsWindow(memory, config);
  let endWith: (drained: Promise<void>) => void = () => {};
  const ended = new Promise<void>((resolve) => {
    endWith = resolve;
  });
  const context: AdminContext = {
    memory,
    config,
    settings: () => listSettings(supervisor.loaded),
    ...reportsOf(supervisor),
    catalogs: () => supervisor.shards.catalogs.states,
    templates: () => supervisor.tenants.rows(),
    transactions: () => supervisor.shards.recovery.rows(),
    recovery: () => supervisor.shards.recovery.figures,
    drift: () => supervisor.shards.copies.rows(),
    driftFigures: () => supervisor.shards.copies.figures,
    listeners: () => supervisor.pubSub.rows(),
    listening: () => supervisor.listeners,
    isReachable: (pool) => probe.isReachable(pool),
    certificates: () => supervisor.certificates,
    recentEvents: () => recentLog.events(),
    isDraining: () => supervisor.shutdownPhase !== 'none',
    reloadState: () => {
      const { status, figures, layers } = supervisor.reloads;
      const { figures: source } = supervisor.source;
      return { status, figures, layers, source, epoch: supervisor.snapshot.epoch };
    },
    window,
    version: VERSION,
    startedMs,
    nowMs: Date.now,
    hasTestHooks: process.env.PGDOG_TEST_HOOKS === '1',
    desk: supervisor.desk,
    orders: {
      // Later, so that the answer is on its way before the session it is for is told to go.
      drain: (reason, mode) => void setImmediate(() => endWith(supervisor.drain(reason, mode))),
      reload: (trigger) => supervisor.reloads.reload(trigger),
      set: (name, text) => supervisor.reloads.set(name, text),
      change: (order) => supervisor.reloads.change(order),
      banHost: (host) => supervisor.health.order(host, ORDER_BAN, true),
      unbanHost: (host) => {
        supervisor.health.order(host, ORDER_BAN, false);
        supervisor.health.forgive(host);
      },
      checkHost: (host) => supervisor.health.checkNow(host),
      setUpShards: (database) => supervisor.shards.setUp(database),
      resetQueryCache: async () => {
        supervisor.fleet.broadcast({ type: 'resetQueryCache' });
        // Whoever answers this has read what was sent before it.
        await supervisor.requestReport('mirrors');
      },
      crashWorker: (worker) => supervisor.crashWorker(worker),
    },
    logFailure: (what, error) => {
      const reason = error instanceof Error ? sourceTrace(error.stack ?? error.message) : String(error);
      supervisor.logger.log('error', 'internal', `${what} failed`, { reason });
    },
  };
  supervisor.setAdminQueryHandler(createAdminHandler(context));
  window.start();
  return { context, ended, close: () => window.close() };
}

/** What workers are asked for. */
function reportsOf(
  supervisor: Supervisor,
): Pick<AdminContext, Extract<keyof AdminContext, `report${string}`>> {
  return {
    reportClients: () => supervisor.requestReport('clients'),
    reportServers: () => supervisor.requestReport('servers'),
    reportQueries: (filter) => supervisor.requestReport('queries', filter),
    reportMirrors: () => supervisor.requestReport('mirrors'),
    reportPrepared: (filter) => supervisor.requestReport('prepared', filter),
    reportClientMemory: () => supervisor.requestReport('clientMemory'),
    reportServerMemory: () => supervisor.requestReport('serverMemory'),
  };
}
