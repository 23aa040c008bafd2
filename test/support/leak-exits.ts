/** How the client that left something disappears. */
import assert from 'node:assert/strict';
import { B, int32, P, Q } from './frames.js';
import type { RawClient } from './raw-client.js';
import { run, sleep, sqlstateOf } from './wire.js';

export interface LeakExit {
  leave: (client: RawClient, make: () => Promise<unknown>) => Promise<unknown>;
  /** What was to be left is made inside a transaction block. */
  isInTransaction?: boolean;
}

/** Long enough for a client's bytes to be with the proxy, and mostly with the server. */
const UNDER_WAY_MS = 5;

export const EXITS: Record<string, LeakExit> = {
  Terminate: {
    leave: async (client, make) => {
      await make();
      await client.end();
    },
  },
  'a reset connection': {
    leave: async (client, make) => {
      await make();
      client.destroy(true);
    },
  },
  'an end of stream in a transaction': {
    leave: async (client, make) => {
      await run(client, 'BEGIN');
      await make();
      client.destroy();
    },
    isInTransaction: true,
  },
  'a reset in a transaction that has failed': {
    leave: async (client, make) => {
      await run(client, 'BEGIN');
      await make();
      await client.query('SELECT 1/0');
      client.destroy(true);
    },
    isInTransaction: true,
  },
  'a reset in a later transaction that has failed': {
    leave: async (client, make) => {
      await make();
      await run(client, 'BEGIN');
      await client.query('SELECT 1/0');
      client.destroy(true);
    },
  },
  'the middle of a small frame': {
    leave: async (client, make) => {
      await make();
      client.send(Buffer.from('Q'), int32(1000), Buffer.from('SELECT'));
      await sleep(UNDER_WAY_MS);
      client.destroy(true);
    },
  },
  'the middle of a large frame': {
    leave: async (client, make) => {
      await make();
      client.send(Buffer.from('Q'), int32(300_000), Buffer.from('SELECT 1 '.repeat(10_000)));
      await sleep(UNDER_WAY_MS);
      client.destroy(true);
    },
  },
  'an open batch': {
    leave: async (client, make) => {
      await make();
      client.send(P('', 'SELECT 1'), B('', ''));
      await sleep(UNDER_WAY_MS);
      client.destroy();
    },
  },
  'COPY under way': {
    leave: async (client, make) => {
      await make();
      client.send(Q('COPY public.sink FROM STDIN'));
      // Refused where what was left makes transactions read-only, or the role has no right to it.
      while (!['G', 'Z'].includes((await client.readFrame()).type));
      client.destroy();
    },
  },
  'a statement under way': {
    leave: async (client, make) => {
      await make();
      client.send(Q('SELECT pg_sleep(0.05)'));
      await sleep(UNDER_WAY_MS);
      client.destroy();
    },
  },
  'a statement cancelled': {
    leave: async (client, make) => {
      await make();
      client.send(Q('SELECT pg_sleep(100)'));
      await cancelled(client);
      client.destroy();
    },
  },
};

/** A cancel that comes before its statement is for nothing, as on Postgres: asked again until it was in time. */
export async function cancelled(client: RawClient): Promise<void> {
  const answer = client.readUntilReady();
  const retry = setInterval(() => void client.cancel(), 20);
  assert.equal(sqlstateOf(await answer.finally(() => clearInterval(retry))), '57014');
}

/** Ends that a proxy with short time-outs brings about by itself. */
export const TIMEOUTS = {
  // Longer than a busy machine takes from what is left behind to the next statement.
  client_idle_timeout: 1200,
  client_idle_in_transaction_timeout: 1000,
  query_timeout: 600,
  rollback_timeout: 2000,
};

const closedWith = async (client: RawClient, ...sqlstates: string[]): Promise<void> => {
  const { error } = await client.expectClosed();
  assert.ok(sqlstates.includes(error?.['C'] ?? ''), `closed with ${error?.['C']} ${error?.['M']}`);
};

/** What was left may have ended its transaction, or may have begun one. */
const IDLE = ['57P05', '25P03'];

export const TIMED_EXITS: Record<string, LeakExit> = {
  client_idle_timeout: {
    leave: async (client, make) => {
      await make();
      await closedWith(client, ...IDLE);
    },
  },
  client_idle_in_transaction_timeout: {
    leave: async (client, make) => {
      await run(client, 'BEGIN');
      await make();
      await closedWith(client, ...IDLE);
    },
    isInTransaction: true,
  },
  query_timeout: {
    leave: async (client, make) => {
      await make();
      client.send(Q('SELECT pg_sleep(100)'));
      await closedWith(client, '57014');
    },
  },
};
