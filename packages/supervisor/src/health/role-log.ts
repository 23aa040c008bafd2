import { type MeasuredRole, ORDER_BAN, ROLE_PRIMARY } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import type { HostGroup } from './host-group.js';
import type { HostPlan } from './host-plan.js';
import type { HostWatch } from './host-watch.js';

export const ROLE_NAMES: Record<MeasuredRole, string> = { 0: 'unknown', 1: 'primary', 2: 'replica' };

/** Says each change of role once, and once what does not fit the configuration. */
export class RoleLog {
  readonly #logger: Logger;
  /** Per host: what was said last. */
  readonly #said = new Map<number, string>();
  readonly #withoutPrimary = new WeakSet<HostGroup>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  roleChanged({ host, port }: HostPlan, before: MeasuredRole, role: MeasuredRole, timeline: number): void {
    const text = `host ${host}:${port} was ${ROLE_NAMES[before]} and is ${ROLE_NAMES[role]}`;
    const level = before === ROLE_PRIMARY ? 'warn' : 'info';
    this.#logger.log(level, 'role_changed', text, { host, port, role: ROLE_NAMES[role], timeline });
  }

  ordered({ host, port }: HostPlan, bit: number, isOn: boolean): void {
    const what = bit === ORDER_BAN ? 'BAN' : `order ${bit}`;
    const text = `${what} of host ${host}:${port} ${isOn ? 'holds' : 'is taken back'}`;
    this.#logger.log('warn', 'host_order', text, { host, port });
  }

  patroni(isAnswering: boolean, why: string): void {
    if (isAnswering) this.#logger.log('info', 'patroni_answers', 'Patroni says who is the primary');
    else {
      const text = `Patroni does not answer; the hosts are asked themselves (${why})`;
      this.#logger.log('warn', 'patroni_silent', text);
    }
  }

  afterCheck(watch: HostWatch, group: HostGroup): void {
    if (!watch.plan.isRouted) return;
    this.#sayMisfit(watch);
    if (!group.isAuto) return;
    const isMissing = group.primary === -1 && group.watches.every(({ isTried }) => isTried);
    if (isMissing && !this.#withoutPrimary.has(group)) {
      this.#withoutPrimary.add(group);
      const hosts = group.watches.map(({ plan }) => `${plan.host}:${plan.port}`).join(', ');
      this.#logger.log('error', 'no_primary', `none of ${hosts} is a primary; writes wait for one`);
    } else if (group.primary !== -1) this.#withoutPrimary.delete(group);
  }

  #sayMisfit(watch: HostWatch): void {
    const { index, host, port } = watch.plan;
    const text = misfitOf(watch);
    if (text === (this.#said.get(index) ?? '')) return;
    this.#said.set(index, text);
    if (text !== '') this.#logger.log('warn', 'role_misfit', `host ${host}:${port} ${text}`, { host, port });
  }
}

function misfitOf({ plan, measurement, whyUnmeasured }: HostWatch): string {
  if (whyUnmeasured !== '') {
    const remedy =
      plan.role === 'auto' ? ' (its role stays unknown: give a pool or auth_user a password for it)' : '';
    return `answers, but cannot be asked for its role and lag: ${whyUnmeasured}${remedy}`;
  }
  if (measurement === null) return '';
  if (plan.role === 'primary' && measurement.isInRecovery)
    return 'is configured as a primary, but is in recovery: nothing is written to it';
  if (plan.role === 'replica' && !measurement.isInRecovery)
    return 'is configured as a replica, but is not in recovery: it is never written to';
  return '';
}
