import { createConnection } from 'node:net';
import { type ConfigSnapshot, isUnixHost, unixSocketPath } from '@pgdog-cluster/core';
import { probeUnix } from '../listen/unix-connect.js';
import type { Logger } from '../log/logger.js';

const PROBE_TIMEOUT_MS = 3_000;

/** Opens and closes one connection: null when it worked, else why not. */
function probe(host: string, port: number): Promise<string | null> {
  if (isUnixHost(host)) return Promise.resolve(probeUnix(unixSocketPath(host, port)));
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: PROBE_TIMEOUT_MS });
    // A shutdown need not wait for the answer.
    socket.unref();
    const end = (reason: string | null) => {
      socket.destroy();
      resolve(reason);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end('no answer'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/**
 * One warning per host that cannot be reached at start. Nothing depends on it: pools connect when they need
 * to, and the server may come up later. It tells a mistyped host before the first client does.
 */
export async function probeServers({ pools }: Pick<ConfigSnapshot, 'pools'>, logger: Logger): Promise<void> {
  const hosts = new Map(pools.map((pool) => [`${pool.host} ${pool.port}`, pool]));
  await Promise.all(
    [...hosts.values()].map(async ({ host, port, addresses }) => {
      const reason = addresses.length === 0 ? 'the name does not resolve' : await probe(host, port);
      if (reason === null) return;
      logger.log('warn', 'server_unreachable', 'server cannot be reached; clients wait until it can', {
        host,
        port,
        reason,
      });
    }),
  );
}
