/** A wire client of the sharded database and one of the one server with all rows: what both are sent must be answered alike. */
import assert from 'node:assert/strict';
import type { TestProxy } from './proxy.js';
import { RawClient, type RawResult } from './raw-client.js';
import { SHOP, type ShardCluster } from './shard-cluster.js';

const LOGIN = { user: 'postgres', password: 'postgres', timeoutMs: 60_000 };

/** A client of the sharded database alone. */
export const shopRawClient = ({ port }: TestProxy): Promise<RawClient> =>
  RawClient.connect({ ...LOGIN, port, database: SHOP });

export class RawPair {
  readonly ours: RawClient;
  readonly theirs: RawClient;
  readonly #hasOwnWords: boolean;

  private constructor(ours: RawClient, theirs: RawClient, hasOwnWords: boolean) {
    this.ours = ours;
    this.theirs = theirs;
    this.#hasOwnWords = hasOwnWords;
  }

  /** @param hasOwnWords errors of the proxy say more than Postgres's: their SQLSTATEs alone are compared */
  static async open(proxy: TestProxy, { server }: ShardCluster, hasOwnWords = false): Promise<RawPair> {
    const theirs = await RawClient.connect({ ...LOGIN, port: server.port, database: 'reference' });
    return new RawPair(await shopRawClient(proxy), theirs, hasOwnWords);
  }

  /** Kinds of frames, rows, tags, SQLSTATE and message. @returns what we were told */
  async same(name: string, ...frames: Buffer[]): Promise<RawResult> {
    const answers = await Promise.all(
      [this.ours, this.theirs].map(async (client) => {
        client.send(...frames);
        return client.readUntilReady();
      }),
    );
    const [ours, theirs] = answers.map(({ frames: told, rows, tags, error }) => {
      const types = told.map(({ type }) => type).join('');
      return { types, rows, tags, sqlstate: error?.['C'], message: this.#hasOwnWords ? '' : error?.['M'] };
    });
    assert.deepEqual(ours, theirs, name);
    return answers[0]!;
  }

  close(): void {
    this.ours.destroy();
    this.theirs.destroy();
  }
}
