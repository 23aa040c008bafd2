import { isUnixHost, type RequiredPeer } from '@pgdog-cluster/core';
import type { Client, ClientConfig } from 'pg';
import { unixStream } from '../listen/unix-connect.js';
import type { PgTls } from './database-tls.js';

/** What pg says when a server answers the question for TLS with `N`. It has no code for it. */
const NO_TLS = 'The server does not support SSL connections';

/** Servers before 14 do not know the setting, and would refuse to be told it. */
export const STAY_WHILE_IDLE = `SELECT pg_catalog.set_config(name, '0', false)
  FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'`;

/** How a server is reached, beside what pg itself knows of. */
export interface PgWay {
  /** Of a Unix socket: its path. */
  host: string;
  tls: PgTls;
  requirePeer: RequiredPeer | undefined;
}

/**
 * A connection of the program's own to a server, by pg, on the way that a pool's would take: the same socket, the same
 * peer, and TLS where the server has it. `password` is called when the server asks for one. Rejects with the reason.
 * `onTry` gets each client before it connects, for who may have to give up earlier.
 */
export async function connectByPg(
  { host, tls, requirePeer }: PgWay,
  config: Omit<ClientConfig, 'host' | 'ssl' | 'stream'>,
  onTry: (client: Client) => void = () => {},
): Promise<Client> {
  const { default: pg } = await import('pg');
  const open = async (ssl: PgTls['ssl']): Promise<Client> => {
    const stream = isUnixHost(host) ? () => unixStream(host, requirePeer) : undefined;
    const client = new pg.Client({ ...config, host, ssl, stream });
    client.on('error', () => {});
    onTry(client);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
  };
  try {
    return await open(tls.ssl);
  } catch (error) {
    const hasNone = error instanceof Error && error.message === NO_TLS;
    if (!hasNone || !tls.isOptional) throw error;
    return open(false);
  }
}
