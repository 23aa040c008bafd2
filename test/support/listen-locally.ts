import { once } from 'node:events';
import type { Server } from 'node:net';

/** On 127.0.0.1. Resolves with the port. @param port 0: one that is free */
export async function listenLocally(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a server on a port has no port');
  return address.port;
}
