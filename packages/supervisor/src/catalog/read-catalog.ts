import type { Client } from 'pg';
import { CATALOG_ANSWERS, CATALOG_SQL, MARK_SQL } from './catalog-sql.js';
import { type AnswerRows, type RawCatalog, toRawCatalog } from './raw-catalog.js';
import { connectToShard, type ShardSources } from './shard-login.js';

/** A connection to one shard, for a few questions. */
export interface ShardConnection {
  /** As long as it is the same, so is what `read` gives. */
  readonly mark: string;
  read(): Promise<RawCatalog>;
  close(): Promise<void>;
}

/** To the primary of the shard, where there is one. Rejects with what went wrong at the host that was asked last. */
export async function openShard(
  name: string,
  shard: number,
  sources: ShardSources,
): Promise<ShardConnection> {
  const { client, greeting } = await connectToShard(name, shard, sources, {
    applicationName: 'pgdog-cluster catalog',
    greet: async (asked) => {
      const answers = await ask(asked, MARK_SQL);
      const [, , isReplica] = answers[FACTS_PLACE][0];
      return { isReplica: isReplica === true, greeting: JSON.stringify(answers) };
    },
  });
  return { mark: greeting, read: () => read(client), close: () => client.end().catch(() => {}) };
}

/** Of the answer in MARK_SQL's. */
const FACTS_PLACE = 4;

async function ask(client: Client, text: string): Promise<AnswerRows[keyof AnswerRows][]> {
  const results = (await client.query({ text, rowMode: 'array' })) as unknown as {
    rows: AnswerRows[keyof AnswerRows];
  }[];
  return results.map(({ rows }) => rows);
}

async function read(client: Client): Promise<RawCatalog> {
  const answers = await ask(client, CATALOG_SQL);
  const entries = CATALOG_ANSWERS.map((answer, index) => [answer, answers[index]] as const);
  return toRawCatalog(Object.fromEntries(entries) as AnswerRows);
}

/** Of every shard, in their order: rejects when one of them does, and leaves none of them open. */
export async function openShards(
  shardCount: number,
  open: (shard: number) => Promise<ShardConnection>,
): Promise<ShardConnection[]> {
  const numbers = Array.from({ length: shardCount }, (_, shard) => shard);
  const settled = await Promise.allSettled(numbers.map((shard) => open(shard)));
  const opened = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed === undefined) return opened;
  await Promise.all(opened.map((connection) => connection.close()));
  throw failed.reason;
}
