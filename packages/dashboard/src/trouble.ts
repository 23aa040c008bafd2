import type { HostStatus, StatusFrame } from '@pgdog-cluster/core/status';
import { hostNote, hostTone } from './host-view.js';

/** Named one by one up to so many. */
const NAMED_MAX = 3;

/**
 * What is wrong, as sentences that change only when something does: a screen reader says them. Empty: nothing is.
 */
export function troubleText(frame: StatusFrame): string {
  const parts: string[] = [];
  if (frame.unready !== null) parts.push(`Not ready: ${frame.unready}.`);
  const { error, trigger } = frame.reload;
  if (error !== '')
    parts.push(`The last reload (${trigger}) failed, the former configuration stays: ${error}`);
  const crashed = frame.workers.filter(({ state }) => state === 'crashed' || state === 'starting');
  if (crashed.length > 0) parts.push(`${crashed.length} of ${frame.workers.length} workers do not serve.`);
  if (frame.held.length > 0) parts.push(`Clients are held: ${frame.held.join(', ')}.`);
  const hosts = new Map<string, HostStatus>();
  for (const { shards } of frame.databases) {
    for (const host of shards.flatMap((shard) => shard.hosts)) hosts.set(`${host.host}:${host.port}`, host);
  }
  const odd = [...hosts].filter(([, host]) => hostTone(host) !== 'good' && host.health !== 'unknown');
  for (const [name, host] of odd.slice(0, NAMED_MAX)) {
    // Lag changes from second to second; the picture has it.
    parts.push(`${name}: ${hostNote({ ...host, lagMs: null, lagBytes: null })}.`);
  }
  if (odd.length > NAMED_MAX) parts.push(`${odd.length - NAMED_MAX} more servers are in trouble.`);
  return parts.join(' ');
}
