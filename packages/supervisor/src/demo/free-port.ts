/** TCP ports of the loopback interface: find one that is free, ask whether one is taken. */
import { createServer } from 'node:net';

// Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range, from 32768): one of
// those may be taken between the question and our bind by any connection of the machine.
const FIRST_PORT = 10_000;
const PORT_COUNT = 20_000;
// Processes that run beside each other begin apart.
let nextPort = (process.pid * 97) % PORT_COUNT;

/**
 * A port nobody listens on at this moment, and another one with each call. Another program can take it before
 * we do; callers that bind it later try again with a new one.
 *
 * @throws {Error} when all are taken
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORT_COUNT; tried++) {
    const port = FIRST_PORT + nextPort;
    nextPort = (nextPort + 1) % PORT_COUNT;
    if ((await portProblem('127.0.0.1', port)) === null) return port;
  }
  throw new Error(`every port from ${FIRST_PORT} to ${FIRST_PORT + PORT_COUNT - 1} is taken`);
}

/** Error code of a trial bind (`EADDRINUSE`, `EACCES`), or null when the port can be had. */
export function portProblem(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}
