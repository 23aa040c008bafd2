import { PgDogError } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';

/** How a stream ends whose TLS is broken. */
const EPROTO = 71;

/** In the handshake a matter of settings, which waiting does not cure; later a lost connection. */
export function serverTlsFailed(server: ServerConnection, reason: string): void {
  const { pool } = server;
  const text = `TLS towards ${reason}`;
  if (server.state === 'connecting') {
    pool.opening.failed(server, new PgDogError('server_tls_failed', text), true);
    return;
  }
  pool.context.log('warn', 'server_tls_failed', text, { database: pool.snapshot.database });
  pool.serverLost(server, EPROTO, false);
  pool.ended(server);
}
