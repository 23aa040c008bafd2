/** Servers whose TLS, or whose answer to the request for it, is refused: what the client is told, and the log. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestDriver } from './drivers.js';
import type { TestPostgres } from './embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from './proxy.js';
import { RawClient } from './raw-client.js';
import { startTlsFront, type TlsFront, type TlsFrontOptions } from './tls-front.js';
import type { TomlTable } from './toml-text.js';
import { eventually } from './wire.js';

/** The FATAL a client gets, or '' when it is served. */
export async function refusal(proxy: TestProxy, database = 'postgres'): Promise<Record<string, string>> {
  const client = await RawClient.open({ port: proxy.port, password: 'postgres', database });
  const result = await client.login();
  client.destroy();
  return result.error ?? {};
}

export type Front = [what: string, tls: TlsFrontOptions, settings: TomlTable, message: RegExp];

/** Each front is a database of one proxy: a start costs a second of CPU. `general` is for what a database cannot say. */
export function refuses(
  driver: TestDriver,
  server: () => TestPostgres,
  title: string,
  fronts: readonly Front[],
  general: TomlTable = {},
): void {
  describe(title, () => {
    const opened: TlsFront[] = [];
    let proxy: TestProxy;
    before(async () => {
      for (const [, tls] of fronts) opened.push(await startTlsFront(server(), tls));
      proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        users: [{ name: 'postgres', password: 'postgres' }],
        databases: fronts.map(([, , settings], index) =>
          databaseOf(opened[index] as TlsFront, {
            name: `front${index}`,
            database_name: 'postgres',
            ...settings,
          }),
        ),
        general: { min_pool_size: 0, ...general },
      });
    });
    after(async () => {
      await proxy.stop();
      for (const front of opened) await front.stop();
    });

    for (const [index, [what, , , message]] of fronts.entries()) {
      it(`${what} is refused, and said`, async () => {
        const error = await refusal(proxy, `front${index}`);
        assert.equal(error['C'], '08001');
        assert.match(error['M'] ?? '', message);
        await eventually('a log line', async () => message.test(proxy.output.replaceAll('\\"', '"')));
        const connections = opened[index]?.connections ?? [];
        assert.ok(
          connections.length > 0 && connections.every(({ isEncrypted }) => isEncrypted),
          'nothing in the clear',
        );
      });
    }
  });
}
