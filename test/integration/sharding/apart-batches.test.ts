/** Batches of statements for several shards: each is one transaction up to its Sync, answered as one Postgres does. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { COMMAND_SCRIPTS, FLOW_SCRIPTS, failingScripts } from '../../support/batch-flows.js';
import { ODD_TRANSACTION_SCRIPTS } from '../../support/batch-odd-transactions.js';
import {
  BATCH_GENERAL,
  BATCH_TABLES,
  BatchPair,
  inOneWrite,
  type Sending,
  type Step,
  TIMEOUT_MS,
} from '../../support/batch-pair.js';
import { PLAIN_SCRIPTS } from '../../support/batch-scripts.js';
import { TRANSACTION_SCRIPTS } from '../../support/batch-transactions.js';
import {
  again,
  type BatchScript,
  INSERT,
  inserts,
  one,
  READ,
  READ_ALL,
  step,
  UPDATE,
  updates,
} from '../../support/batch-words.js';
import { decisionsOn, forEachDriver } from '../../support/drivers.js';
import { P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { startShardedProxy } from '../../support/shard-cluster.js';

const STATEMENTS = 300;
/** Messages are held until all of a piece is there, up to a limit. */
const NOT_WHOLE = /shard/;

let pair: BatchPair;
before(async () => {
  pair = await BatchPair.start();
});
after(() => pair.stop());

const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Each piece a write of its own. */
const inPieces =
  (sizes: readonly number[]): Sending =>
  async (client, bytes) => {
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const end = at + (sizes[turn % sizes.length] ?? 1);
      client.send(bytes.subarray(at, end));
      at = end;
      await breath();
    }
  };
const byteByByte = inPieces([1]);
const oddPieces = inPieces([1, 7, 63, 64, 511, 3, 1025, 4096, 5]);
const largePieces = inPieces([16_384, 16_383, 1, 40_000]);

forEachDriver('batches for several shards', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(pair.cluster, driver, { tables: BATCH_TABLES, general: BATCH_GENERAL });
  });
  after(() => proxy.stop());
  beforeEach(() => pair.refill(proxy));

  const run = async (steps: readonly Step[], send?: Sending, mayRefuse?: RegExp): Promise<string> => {
    const refusal = await pair.same(steps, send, mayRefuse);
    if (refusal === '') {
      await pair.settled();
      await pair.assertSameRows();
    }
    return refusal;
  };
  const runScript = async (script: BatchScript, send: Sending): Promise<string> => {
    const refusal = await run(script.steps(pair), send, script.mayRefuse);
    // The session is of use afterwards.
    await pair.ours.query('ROLLBACK');
    const reads = [0, 1, 2].flatMap((shard) => one(READ, pair.old(shard, 7)));
    pair.ours.send(...reads, S());
    assert.equal((await pair.ours.readUntilReady()).error, null);
    return refusal;
  };
  const onEach = [...PLAIN_SCRIPTS, ...FLOW_SCRIPTS];
  const decisions = [
    ...failingScripts(),
    ...TRANSACTION_SCRIPTS,
    ...ODD_TRANSACTION_SCRIPTS,
    ...COMMAND_SCRIPTS,
  ];
  for (const script of [...onEach, ...decisions]) {
    const define = onEach.includes(script) ? it : decisionsOn(driver);
    define(script.name, () => runScript(script, inOneWrite).then(() => undefined));
    decisionsOn(driver)(`${script.name}, in pieces`, () =>
      runScript(script, oddPieces).then(() => undefined),
    );
  }

  it('byte by byte', async () => {
    await run(
      [step(updates(pair), one(READ_ALL), S()), step(inserts(pair), S(), updates(pair), S())],
      byteByByte,
    );
  });

  it('two batches, the second cut at each byte: what is left comes behind the answer of the first, or at once', async () => {
    const first = Buffer.concat([...updates(pair), S()]);
    const second = Buffer.concat([...updates(pair, 1), S()]);
    const refused: string[] = [];
    for (const isAwaited of [true, false]) {
      for (let cut = 1; cut < second.length; cut++) {
        const { ours } = pair;
        ours.send(first, second.subarray(0, cut));
        if (isAwaited) assert.equal((await ours.readUntilReady()).error, null);
        else await breath();
        ours.send(second.subarray(cut));
        const { error } = await ours.readUntilReady(isAwaited ? 1 : 2);
        if (error !== null) refused.push(`${isAwaited} ${cut}: ${error.C} ${error.M}`);
      }
    }
    assert.deepEqual(refused, []);
  });

  for (const count of [1, 2])
    it(`${count} batches at once in few bytes each, again and again`, async () => {
      const bytes = Buffer.concat([0, 1].slice(-count).flatMap((index) => [...updates(pair, index), S()]));
      const refused: string[] = [];
      for (let round = 0; round < 60; round++) {
        await inPieces([1 + (round % 3), 1, 2 + (round % 5)])(pair.ours, bytes);
        const { error } = await pair.ours.readUntilReady(count);
        if (error !== null) refused.push(`${round}: ${error.C} ${error.M}`);
      }
      assert.deepEqual(refused, []);
    });

  const many = (count: number, name: string | null = 'x'): Buffer[] =>
    Array.from({ length: count }, (_, index) => {
      const id = pair.fresh(index % 3, Math.floor(index / 3));
      return index % 5 === 4 ? one(UPDATE, id - (index % 2), 1) : one(INSERT, id, index, name);
    }).flat();
  const bound = (count: number, name: string | null = 'x'): Buffer[] => [
    P('ins', INSERT),
    ...Array.from({ length: count }, (_, index) =>
      again('ins', pair.fresh(index % 3, Math.floor(index / 3)), index, name),
    ).flat(),
  ];
  for (const [how, send] of [
    ['in one write', inOneWrite],
    ['in pieces', oddPieces],
    ['in large pieces', largePieces],
  ] as const) {
    it(`${STATEMENTS} statements ${how}`, async () => {
      await run([step(many(STATEMENTS), S()), step(one(READ_ALL), S())], send);
    });
    it(`one statement bound ${STATEMENTS} times ${how}`, async () => {
      await run([step(bound(STATEMENTS), S()), step(one(READ_ALL), S())], send);
    });
    it(`${STATEMENTS} statements in a transaction ${how}, the last one fails`, async () => {
      const bad = one(INSERT, pair.old(1), 1, 'again');
      await run([step(Q('BEGIN')), step(updates(pair), many(STATEMENTS), bad, S()), step(Q('COMMIT'))], send);
      await run([step(many(STATEMENTS), bad, S())], send);
    });
    it(`more than 48 KB ${how}`, async () => {
      const name = 'y'.repeat(900);
      await run([step(bound(90, name), S()), step(updates(pair), S()), step(Q('DELETE FROM thing'))], send);
      await run(
        [step(Q('BEGIN')), step(updates(pair), S()), step(many(90, name), S()), step(Q('COMMIT'))],
        send,
      );
    });
    it(`a Bind of 200 KB in the middle ${how}`, async (context) => {
      const long = one(INSERT, pair.fresh(1, 400), 1, 'z'.repeat(200_000));
      const read = one('SELECT length(name), md5(name) FROM thing WHERE id = $1', pair.fresh(1, 400));
      const steps = [step(inserts(pair), long, inserts(pair, 1), read, S()), step(updates(pair), S())];
      context.diagnostic(await run(steps, send, NOT_WHOLE));
      await pair.refill(proxy);
      const inside = [step(Q('BEGIN')), step(updates(pair), S()), ...steps, step(Q('COMMIT'))];
      context.diagnostic(await run(inside, send, NOT_WHOLE));
      await pair.refill(proxy);
      // One of one shard may be as long as it likes.
      await run([step(one(UPDATE, pair.old(1), 1), long, read, S()), step(updates(pair), S())], send);
    });
  }

  it('a long batch that fails early: the rest is skipped, and the next one is not', async () => {
    const bad = one('SELECT 1 / (n - n) FROM thing WHERE id = $1', pair.old(0));
    for (const send of [inOneWrite, oddPieces, largePieces])
      await run([step(updates(pair), bad, many(STATEMENTS, 'w'.repeat(400)), S(), updates(pair), S())], send);
  });

  it('long answers between long batches', { timeout: 2 * TIMEOUT_MS }, async () => {
    const rows = one("SELECT g, repeat('x', 2000) FROM generate_series(1, 500) g ORDER BY g");
    const wide = one("SELECT id, repeat('w', 3000) FROM thing ORDER BY id");
    const parts = Array.from({ length: 20 }, (_, index) => [...inserts(pair, index), ...wide, ...rows]);
    await run([step(...parts, S())]);
  });
});
