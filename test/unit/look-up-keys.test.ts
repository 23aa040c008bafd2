/** Who asks lookup_query: what is answered was asked after RELOAD, and one failure is not everybody's. */
import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';
import type { KeysFoundMessage } from '@pgdog-cluster/core';
import { KeyLookupDesk, type KeyLookupOptions } from 'pgdog-cluster';

type Opened = Awaited<ReturnType<KeyLookupOptions['open']>>;
type Rows = [string | null][];

interface Asked {
  readonly key: string;
  answer(rows: Rows): void;
}

const RULE = { lookupQuery: 'SELECT 1', lookupResult: 'shard', function: 'lookup', keyType: 'text' };

/** A desk whose connections and answers come when the test says so. */
class Scene {
  readonly asked: Asked[] = [];
  readonly told: KeysFoundMessage['answers'][number][] = [];
  readonly events: string[] = [];
  readonly opening: { come(): void; fail(reason: string): void }[] = [];
  readonly desk: KeyLookupDesk;

  constructor(timeoutMs = 10_000) {
    this.desk = new KeyLookupDesk({
      logger: { log: () => {} } as never,
      open: () =>
        new Promise((resolve, reject) =>
          this.opening.push({
            come: () => resolve(this.#client()),
            fail: (reason) => reject(new Error(reason)),
          }),
        ),
      tell: (_worker, { answers }) => {
        this.told.push(...answers);
        this.events.push('told');
      },
      forget: () => void this.events.push('forget'),
    });
    const general = { sharding_lookup_timeout: timeoutMs };
    this.desk.takeUp({ sharding: new Map([['shop', { shardCount: 3, tables: [RULE] }]]), general } as never);
  }

  #client(): Opened {
    return {
      on: () => {},
      end: async () => {},
      query: ({ values: [key] }: { values: string[] }) =>
        new Promise((resolve) => {
          const answer = (rows: Rows): void => resolve({ rows, fields: [{ dataTypeID: 23 }] });
          this.asked.push({ key, answer });
        }),
    } as never;
  }

  want(...keys: string[]): Promise<void> {
    return this.desk.wanted({ type: 'keysWanted', worker: 0, database: 'shop', rule: 0, keys });
  }
}

let scene: Scene;
afterEach(() => scene.desk.close());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('an answer that RELOAD overtakes is asked for again, and told once', async () => {
  scene = new Scene();
  const done = scene.want('a');
  scene.opening[0].come();
  await turn();
  scene.desk.hurry();
  scene.asked[0].answer([['0']]);
  await turn();
  assert.deepEqual(scene.told, []);
  scene.asked[1].answer([['1']]);
  await done;
  assert.deepEqual(scene.told, [{ key: 'a', shard: 1, problem: '' }]);
  assert.deepEqual(scene.events, ['forget', 'told']);
});

it('what waits while another configuration is taken up is asked by that one', async () => {
  scene = new Scene();
  const done = scene.want('a', 'b');
  const general = { sharding_lookup_timeout: 1_000 };
  scene.desk.takeUp({
    sharding: new Map([['shop', { shardCount: 1, tables: [RULE] }]]),
    general,
  } as never);
  await turn();
  scene.opening[2].come();
  await turn();
  for (const at of [0, 1]) {
    scene.asked[at].answer([['2']]);
    await turn();
  }
  await done;
  assert.match(scene.told[0].problem, /gives "2", and there are shards 0 to 0/);
  assert.equal(scene.told.length, 2);
});

it('a connection that cannot be opened fails nobody as long as there are others', async () => {
  scene = new Scene();
  const done = scene.want('a', 'b', 'c');
  scene.opening[0].come();
  await turn();
  for (const each of scene.opening.slice(1)) each.fail('too many connections');
  assert.ok(scene.opening.length > 1);
  await turn();
  for (let at = 0; at < 3; at++) {
    scene.asked[at].answer([[String(at)]]);
    await turn();
  }
  await done;
  assert.deepEqual(
    scene.told.map(({ shard, problem }) => [shard, problem]),
    [
      [0, ''],
      [1, ''],
      [2, ''],
    ],
  );
});

it('where none can be opened all who wait are told why', async () => {
  scene = new Scene();
  const done = Promise.all([scene.want('a'), scene.want('b')]);
  assert.equal(scene.opening.length, 2);
  scene.opening[0].fail('no');
  await turn();
  assert.deepEqual(scene.told, []);
  scene.opening[1].fail('no, never');
  await done;
  for (const { problem } of scene.told) assert.match(problem, /cannot be asked: no, never/);
  assert.equal(scene.told.length, 2);
});

it('questions that nobody waits for any more are not asked', async () => {
  scene = new Scene(500);
  const done = scene.want('a', 'b', 'c', 'd', 'e', 'f');
  for (let at = 0; at < 4; at++) {
    scene.opening[at].come();
    await turn();
  }
  await done;
  for (const { problem } of scene.told) assert.match(problem, /no answer in 500 ms/);
  const later = scene.want('z');
  for (const { answer } of [...scene.asked]) answer([['0']]);
  await turn();
  assert.deepEqual(
    scene.asked.map(({ key }) => key),
    ['a', 'b', 'c', 'd', 'z'],
  );
  scene.asked[4].answer([]);
  await later;
  assert.deepEqual(scene.told.at(-1), { key: 'z', shard: null, problem: '' });
});

it('digits say a shard, nothing else', async () => {
  for (const value of ['', ' ', '1e0', '0x1', '-1', '+1', '1.0', '3', null]) {
    scene = new Scene();
    const done = scene.want('a');
    scene.opening[0].come();
    await turn();
    scene.asked[0].answer([[value]]);
    await done;
    const [{ shard, problem }] = scene.told;
    assert.deepEqual([shard, problem === ''], [null, false], `${value}`);
    scene.desk.close();
  }
});
