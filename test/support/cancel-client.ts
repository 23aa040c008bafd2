import type pg from 'pg';
import { cancelRequest } from './frames.js';
import { RawClient } from './raw-client.js';

/** Cancels what a client of pg asks, as libpq does, on a connection of its own; resolves when the server has taken it. */
export async function cancelClient(proxy: { port: number }, client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  const second = await RawClient.open({ port: proxy.port });
  second.send(cancelRequest(processID, secret));
  await second.expectClosed(30_000);
  second.destroy();
}
