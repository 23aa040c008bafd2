import { PgDogError, type PoolSnapshot } from '@pgdog-cluster/core';
import type { CommandCall } from './command-table.js';
import { completion } from './driver-talk.js';

/** The hosts of `[pool_id]`: that pool's, or all of them. */
function hostsOf({ context, tokens }: CommandCall): number[] {
  const [, id, ...rest] = tokens;
  if (rest.length > 0 || (id !== undefined && id.kind !== 'number')) throw new PgDogError('admin_syntax');
  const { pools } = context.config();
  const chosen = id === undefined ? pools : pools.filter(({ index }) => index === Number(id.text));
  if (chosen.length === 0) {
    const text = `there is no pool ${id?.text ?? ''}`;
    throw new PgDogError('admin_failed', text, { hint: 'SHOW POOLS lists them: column id.' });
  }
  return [...new Set(chosen.map(({ hostIndex }: PoolSnapshot) => hostIndex))];
}

/** An order: it holds until UNBAN, whatever is measured, for every database of the host. */
export function runBan(call: CommandCall): Uint8Array {
  for (const host of hostsOf(call)) call.context.orders.banHost(host);
  return completion('BAN');
}

export function runUnban(call: CommandCall): Uint8Array {
  for (const host of hostsOf(call)) call.context.orders.unbanHost(host);
  return completion('UNBAN');
}

/** Answers when the checks have ended; the first that failed is the error. */
export async function runHealthcheck(call: CommandCall): Promise<Uint8Array> {
  const failures = await Promise.all(hostsOf(call).map((host) => call.context.orders.checkHost(host)));
  const failure = failures.find((text) => text !== null);
  if (failure !== undefined && failure !== null) throw new PgDogError('admin_failed', failure);
  return completion('HEALTHCHECK');
}
