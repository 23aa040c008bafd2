/**
 * Statements whose texts are all different, as from applications that put literals into them: whatever is remembered
 * per text must have a limit. A third each by Query, by unnamed Parse, and by a named Parse that is closed again.
 */
import { addCase, type BenchRun, measure, startAll, stopAll } from '../macro/bench-run.js';
import { sleep } from '../macro/child.js';
import type { Endpoint } from '../macro/endpoint.js';
import { rssKb } from '../macro/proc.js';
import { closeStatement, extended, query, RawClient, SYNC } from '../macro/raw-client.js';
import type { Values } from '../report/results.js';

const CONNECTIONS = 16;
const SETTLE_MS = 1500;

export async function texts(run: BenchRun): Promise<void> {
  const count = run.options.isQuick ? 20_000 : 100_000;
  run.results.settings.distinctTexts = count;
  const key = addCase(run, { key: 'texts', group: 'texts', title: `${count} statements of distinct text` });
  for (const contender of run.mainContenders) {
    if (contender.kind === 'direct') continue;
    for (const { endpoint } of await startAll(run, [contender], 'trust')) {
      await measure(run, key, contender, 0, () => sendTexts(endpoint, count));
      await stopAll([{ contender, endpoint }]);
    }
  }
}

/** Padded to a few hundred bytes: texts that are kept should show. */
function statementBytes(index: number): Buffer {
  const sql = `SELECT ${index} AS column_${index} /* ${'padding '.repeat(24)} */`;
  if (index % 3 === 0) return query(sql);
  if (index % 3 === 1) return Buffer.concat([extended(sql), SYNC]);
  const name = `statement_${index}`;
  return Buffer.concat([extended(sql, name), closeStatement(name), SYNC]);
}

async function sendTexts(endpoint: Endpoint, count: number): Promise<Values> {
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => RawClient.open(endpoint.login)),
  );
  try {
    let next = 0;
    const sendUntil = async (end: number): Promise<void> => {
      await Promise.all(
        clients.map(async (client) => {
          while (next < end) await client.exchange(statementBytes(next++), 1);
        }),
      );
    };
    // The first half fills every cache to its limit; what the second half adds is what grows for ever.
    const start = process.hrtime.bigint();
    await sendUntil(count / 2);
    const halfSeconds = Number(process.hrtime.bigint() - start) / 1e9;
    await sleep(SETTLE_MS);
    const halfKb = rssKb(endpoint.pids);
    await sendUntil(count);
    await sleep(SETTLE_MS);
    const endKb = rssKb(endpoint.pids);
    return { rssGrowthMb: (endKb - halfKb) / 1024, rssMb: endKb / 1024, tps: count / 2 / halfSeconds };
  } finally {
    for (const client of clients) client.close();
  }
}
