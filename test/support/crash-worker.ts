import type { TestProxy } from './proxy.js';
import { eventually } from './wire.js';

type Row = Record<'worker' | 'state' | 'restarts', string>;

/** Crashes workers (PGDOG_TEST_HOOKS) one after another; resolves when each has been started again and serves. */
export async function crashWorkers(proxy: TestProxy, ...workers: number[]): Promise<void> {
  for (const worker of workers) {
    const rowOf = async (): Promise<Row | undefined> => {
      const rows = await proxy.adminQuery<Row>('SHOW WORKERS').catch(() => []);
      return rows.find((row) => Number(row.worker) === worker);
    };
    let restarts = -1;
    await eventually('SHOW WORKERS answers', async () => {
      restarts = Number((await rowOf())?.restarts ?? -1);
      return restarts >= 0;
    });
    // The worker that is asked may be the one that goes.
    await proxy.adminQuery(`CRASH WORKER ${worker}`).catch(() => undefined);
    // Its state alone would still be that from before the crash.
    await eventually(
      `worker ${worker} serves again`,
      async () => {
        const row = await rowOf();
        return row?.state === 'serving' && Number(row.restarts) > restarts;
      },
      20_000,
    );
  }
}
