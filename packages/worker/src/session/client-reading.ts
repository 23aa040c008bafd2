import { CLIENT_UTF8, clientReading, NO_SCOPE, type SqlPlan } from '@pgdog-cluster/core';
import { type PlanCache, READ_BYTES_MAX } from '../plan/plan-cache.js';

/** How the texts of one session are read, of what it was told last of its encoding. */
export class ClientReading {
  private seen: ReadonlyMap<string, string> | null = null;
  private reading = CLIENT_UTF8;

  /** @returns one of CLIENT_… */
  of(reported: ReadonlyMap<string, string>): number {
    if (reported !== this.seen) {
      this.seen = reported;
      this.reading = clientReading(reported.get('client_encoding'), reported.get('server_encoding'));
    }
    return this.reading;
  }
}

interface ReadSession {
  readonly context: { readonly plans: Pick<PlanCache, 'lookup'> };
  readonly clientReading: number;
}

/** What a text of this client comes to, where no shards are asked about. */
export function planFor(
  { context, clientReading }: ReadSession,
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesMax = READ_BYTES_MAX,
): SqlPlan {
  return context.plans.lookup(bytes, start, end, NO_SCOPE, clientReading, bytesMax);
}
