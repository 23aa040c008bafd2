import {
  factReport,
  READY,
  type ReportEntry,
  type RouteExplain,
  type RouteReport,
  type RouteTerms,
  reportEntry,
  reportList,
  WANT_NAMES,
} from '@pgdog-cluster/core';
import { pinNames } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import { explainShards } from '../shard/explain-shards.js';
import { hostReport, placeOf } from './host-report.js';
import { roleSettingsOf, settingProblem, shardCountOf } from './role-setting.js';
import type { SessionRouter } from './session-router.js';

/** Where a statement would go if this session asked it now, and why. Decides nothing: no turn is taken, nothing is sent. */
export function explainRoute(session: Session, { kind, plan }: RouteExplain): RouteReport {
  const { router } = session;
  const ask = router === null ? null : (facts: typeof plan.route) => router.cluster.code.mayWrite(facts);
  const report = factReport(kind, plan.route, ask);
  if (router !== null) report.push(reportEntry('catalog', 'Catalog', catalogText(router, plan)));
  report.push(reportEntry('session', 'Session', sessionFacts(session)));
  const code = session.pool?.code;
  if (code !== undefined && plan.tenant !== undefined) {
    const problem = code.tenantRefusal(plan.tenant, session.context.parser);
    report.push(reportEntry('tenant', 'Tenant guard', problem === null ? 'passes' : `refuses: ${problem}`));
  }
  if (router?.shards != null) {
    report.push(reportEntry('shards', 'Shards', explainShards(router.shards, plan)));
  }
  const refusal = settingProblem(plan, shardCountOf(session)) ?? router?.choice.refusal(plan) ?? null;
  if (refusal !== null) return [...report, reportEntry('refused', 'Refused', refusal.message)];
  if (session.server !== null) {
    const place = placeOf(session.server.pool);
    return [...report, reportEntry('chosen', 'Chosen', `${place}, where the session's server connection is`)];
  }
  return [...report, ...(router === null ? oneHost(session) : choice(router, plan))];
}

function catalogText(router: SessionRouter, { route, flags }: RouteExplain['plan']): string {
  return router.choice.whyWrite(route, flags) ?? 'nothing in it may write';
}

/** What of the session matters to the route. */
function sessionFacts(session: Session): string[] {
  const { router, server, pool } = session;
  const facts = [`pool mode ${pool?.snapshot.poolerMode ?? 'unknown'}`];
  const settings = roleSettingsOf(session.parameters);
  if (settings.role !== null) facts.push(`pgdog.role = ${settings.role}`);
  if (settings.isReadOnly !== null) facts.push(`read only by default: ${settings.isReadOnly ? 'yes' : 'no'}`);
  if (settings.isSerializable) facts.push('serializable by default');
  if (server !== null) {
    const pins = pinNames(session.pins);
    const isOpen = server.readyStatus !== READY.Idle;
    if (isOpen) facts.push('in a transaction');
    if (pins !== '') facts.push(`keeps its server connection (${pins})`);
  }
  if (router === null) return facts;
  const { held, trace } = router;
  if (held !== null) {
    const mode = held.isReadOnly === null ? '' : held.isReadOnly ? ' READ ONLY' : ' READ WRITE';
    facts.push(`transaction begun${mode}, of which no server knows yet`);
  } else if (server === null) facts.push('no transaction');
  const isWritten = trace.isFresh || trace.writtenMs > 0 || trace.writtenLsn > 0;
  const { readYourWrites } = session.context.config.routing;
  facts.push(`read_your_writes = ${readYourWrites}${isWritten ? ', has written' : ''}`);
  return facts;
}

function oneHost({ pool }: Session): ReportEntry[] {
  const place = pool === null ? 'the database' : placeOf(pool);
  return [reportEntry('chosen', 'Chosen', `${place}, the database's only host: statements are not routed`)];
}

function choice(router: SessionRouter, plan: RouteExplain['plan']): ReportEntry[] {
  const { cluster } = router;
  const { strategy, readWriteSplit } = cluster.context.config.routing;
  const { want, reason } = router.choice.judge(plan.route, router.choice.whyWrite(plan.route, plan.flags), [
    plan,
  ]);
  const terms: RouteTerms = router.choice.termsOf(want);
  const { candidates, next } = cluster.preview(terms);
  const places = candidates.map(({ pool }) => placeOf(pool));
  const chosen =
    next !== null
      ? placeOf(next.pool)
      : places.length === 0
        ? 'nobody: it waits, up to checkout_timeout'
        : `by chance among ${places.join(', ')}`;
  return [
    reportEntry('wish', 'Wish', `${WANT_NAMES[want]} (${reason})`),
    reportList('hosts', 'Host', hostReport(cluster, terms, candidates, next)),
    reportEntry('strategy', 'Strategy', `${strategy}, read_write_split = ${readWriteSplit}`),
    reportEntry('chosen', 'Chosen', chosen),
  ];
}
