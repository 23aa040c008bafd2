/** Every pure reader against its corpus and against fresh cases, thousands a second. SEED=n replays a run. */
import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { loadSqlParser, type SqlParser } from '@pgdog-cluster/core';
import { CODEC_TARGETS } from './codec-targets.js';
import { chosenSeed, type FuzzTarget, readCorpus, runTarget } from './fuzz-run.js';
import { MEMORY_TARGETS } from './memory-targets.js';
import { frameStreamTarget } from './stream-target.js';
import { sqlReaderTarget, TEXT_TARGETS } from './text-targets.js';

const seed = chosenSeed();
const MILLISECONDS = 450;
let parser: SqlParser;
before(async () => {
  parser = await loadSqlParser();
});

for (const target of [...CODEC_TARGETS, ...TEXT_TARGETS, frameStreamTarget, ...MEMORY_TARGETS]) {
  it(`${target.name} (seed ${seed})`, () => {
    assert.ok(runTarget(target, { seed, cases: 1_000_000, milliseconds: MILLISECONDS }) > 5);
  });
}

it(`sql-reader (seed ${seed})`, () => {
  assert.ok(runTarget(sqlReaderTarget(parser), { seed, cases: 1_000_000, milliseconds: MILLISECONDS }) > 5);
});

it('a reader that does wrong is found, its input made small and told', () => {
  const target: FuzzTarget = {
    name: 'self-check',
    isKept: false,
    generate: (random) => random.buffer(200),
    run(bytes) {
      if (bytes.includes(0x42)) throw new Error('found it');
    },
  };
  let text = '';
  try {
    runTarget(target, { seed, cases: 1000, milliseconds: 5000 });
  } catch (error) {
    text = String(error);
  }
  assert.match(text, /made smaller to 1.*\n42$/s);
  assert.equal(readCorpus('self-check').length, 0);
});
