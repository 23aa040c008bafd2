import { createConnection } from 'node:net';
import { isUnixHost } from '@pgdog-cluster/core';
import { probeUnix } from '../listen/unix-connect.js';

/** SSLRequest: the one question that a server answers to anybody, and that leaves nothing in its log. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** `code`: the system's, or `timeout`, or `closed`. */
export type KnockResult = { isAnswered: true } | { isAnswered: false; code: string };

/** Does a Postgres answer at the address, or the path of a Unix socket? Knows neither user nor password. Never rejects. */
export function knock(host: string, port: number, timeoutMs: number): Promise<KnockResult> {
  if (isUnixHost(host)) {
    const code = probeUnix(host);
    return Promise.resolve(code === null ? { isAnswered: true } : { isAnswered: false, code });
  }
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const end = (result: KnockResult): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end({ isAnswered: false, code: 'timeout' }), timeoutMs);
    socket.once('connect', () => socket.write(SSL_REQUEST));
    socket.once('data', () => end({ isAnswered: true }));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end({ isAnswered: false, code: error.code ?? 'error' }),
    );
    socket.once('end', () => end({ isAnswered: false, code: 'closed' }));
  });
}
