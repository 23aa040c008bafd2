/** TCP ports of the loopback interface: find one that is free, ask whether one is taken. */
import { createServer } from 'node:net';

/**
 * A port nobody listens on at this moment. Another program can take it before we do; callers that bind it
 * later try again with a new one.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Error code of a trial bind (`EADDRINUSE`, `EACCES`), or null when the port can be had. */
export function portProblem(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}
