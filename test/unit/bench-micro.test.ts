// Each micro bench runs for a moment here, so that it cannot rot unseen.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';

interface MicroResult {
  name: string;
  nsPerOp: number;
  hash: number;
}
interface MicroModule {
  run?(options: { quick: boolean }): MicroResult[] | Promise<MicroResult[]>;
}

const folder = new URL('../../../bench/dist/micro/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.js') && file !== 'main.js');

describe('micro benches', () => {
  for (const file of files) {
    it(`${file} runs, and twice with the same hashes`, { timeout: 300_000 }, async (test) => {
      const { run } = (await import(new URL(file, folder).href)) as MicroModule;
      if (run === undefined) return test.skip('a helper, not a bench');
      const first = await run({ quick: true });
      assert.ok(first.length > 0);
      for (const result of first) {
        assert.ok(Number.isFinite(result.nsPerOp) && result.nsPerOp > 0, `${result.name}: ${result.nsPerOp}`);
      }
      const hashes = (results: MicroResult[]): string[] =>
        results.map(({ name, hash }) => `${name}: ${hash}`);
      assert.deepEqual(hashes(await run({ quick: true })), hashes(first));
    });
  }
});
