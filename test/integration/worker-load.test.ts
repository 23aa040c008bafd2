// What is said of a worker's load was its own code alone: with io_uring a fifth of what the kernel does in its name.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { eventually } from '../support/wire.js';

/** So much of its CPU is a measure, with clocks of a hundredth of a second. */
const LOAD_MS = 400;
const CLIENTS = 6;

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** CPU of each thread, ms; ticks are hundredths of a second. */
function threadTimes(pid: number): Map<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`);
  return new Map(
    threads.map((thread) => {
      const fields =
        readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return [thread, 10 * (Number(fields[11]) + Number(fields[12]))];
    }),
  );
}

forEachDriver('the load of a worker', (driver) => {
  it('is the CPU of its thread', async () => {
    const proxy = await startProxy({ databases: [databaseOf(server)], ioDriver: driver, workers: 1 });
    const clients = Array.from({ length: CLIENTS }, () => new pg.Client({ connectionString: proxy.url() }));
    const admin = new pg.Client({ connectionString: proxy.adminUrl });
    try {
      await Promise.all([...clients, admin].map((client) => client.connect()));
      const busyMs = async (): Promise<number> =>
        Number((await admin.query('SHOW WORKERS')).rows[0]?.busy_us) / 1000;
      const [before, busyBefore] = [threadTimes(proxy.pid), await busyMs()];
      const threadMs = (): number => {
        const grown = [...threadTimes(proxy.pid)].map(([thread, ms]) => ms - (before.get(thread) ?? 0));
        return Math.max(...grown);
      };
      let isOver = false;
      const work = async (client: pg.Client): Promise<void> => {
        while (!isOver) await client.query('SELECT 1');
      };
      const working = Promise.all(clients.map(work));
      await eventually('it has worked', async () => threadMs() >= LOAD_MS).finally(() => {
        isOver = true;
      });
      await working;
      let text = '';
      // It is published ten times a second, and late where the machine is busy.
      await eventually(
        'what is said is what it had',
        async () => {
          const [hadMs, saidMs] = [threadMs(), (await busyMs()) - busyBefore];
          text = `${saidMs} ms are said, the thread had ${hadMs}`;
          return saidMs > 0.75 * hadMs - 30 && saidMs < 1.25 * hadMs + 30;
        },
        2000,
      ).catch((error: Error) => assert.fail(`${error.message}: ${text}`));
    } finally {
      await Promise.all([...clients, admin].map((client) => client.end()));
      await proxy.stop();
    }
  });
});
