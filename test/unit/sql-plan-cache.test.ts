import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  loadSqlParser,
  type ParsedStatement,
  PLAIN_PLAN,
  SeededRandom,
  type SqlParser,
} from '@pgdog-cluster/core';
import { PlanCache } from '@pgdog-cluster/worker';

const real = await loadSqlParser();

class CountingParser implements SqlParser {
  count = 0;
  parse(text: string): ParsedStatement[] | null | 'unread' {
    this.count++;
    return real.parse(text);
  }
}

function look(cache: PlanCache, text: string) {
  const bytes = Buffer.from(`<${text}>`);
  return cache.lookup(bytes, 1, bytes.length - 1);
}

test('a text is parsed once, and again only after it was thrown out', () => {
  const parser = new CountingParser();
  const cache = new PlanCache(parser, 2, 1000);
  const first = look(cache, 'set a.b = 1');
  assert.equal(look(cache, 'set a.b = 1'), first);
  look(cache, 'set a.b = 2');
  look(cache, 'set a.b = 1');
  assert.equal(parser.count, 2);
  look(cache, 'set a.b = 3');
  // 1 was used later than 2, which had to go.
  assert.equal(look(cache, 'set a.b = 1'), first);
  assert.equal(parser.count, 3);
  look(cache, 'set a.b = 2');
  assert.equal(parser.count, 4);
  assert.equal(cache.entryCount, 2);
});

test('a cache keeps its own copy of the text', () => {
  const cache = new PlanCache(real, 10, 1000);
  const bytes = Buffer.from('set a.b = 1');
  const plan = cache.lookup(bytes, 0, bytes.length);
  bytes.write('reset', 0);
  assert.equal(look(cache, 'set a.b = 1'), plan);
});

test('a hundred thousand distinct plain texts are neither parsed nor stored', () => {
  const parser = new CountingParser();
  const cache = new PlanCache(parser, 100, 100_000);
  const kept = look(cache, 'set a.b = 1');
  for (let i = 0; i < 100_000; i++) {
    assert.equal(
      look(cache, `select a from only t where b = any(array[${i}]) order by lower(c)`),
      PLAIN_PLAN,
    );
  }
  assert.equal(parser.count, 1);
  assert.equal(cache.entryCount, 1);
  assert.equal(look(cache, 'set a.b = 1'), kept);
  look(cache, 'select 1 from t as v(a)');
  look(cache, 'select 1 from t as v(a)');
  assert.equal(cache.entryCount, 2);
});

test('entries and bytes stay within their limits whatever comes', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const random = new SeededRandom(seed);
  const cache = new PlanCache(real, 50, 2_000);
  const plans = new Map<string, string>();
  for (let i = 0; i < 5_000; i++) {
    const text = `set a.b = '${'x'.repeat(random.below(80))}${random.below(40)}'`;
    const plan = JSON.stringify(look(cache, text));
    assert.equal(plans.get(text) ?? plan, plan, `seed ${seed}`);
    plans.set(text, plan);
    assert.ok(cache.entryCount <= 50 && cache.textBytes <= 2_000, `seed ${seed}`);
  }
  look(cache, `set a.b = '${'y'.repeat(400)}'`);
  assert.ok(cache.textBytes <= 2_000);
  const none = new PlanCache(real, 0, 0);
  assert.equal(look(none, 'reset all').statements.length, 1);
  assert.equal(none.entryCount, 0);
});
