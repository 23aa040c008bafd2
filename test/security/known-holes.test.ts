/** Every known hole of poolers has a test that bears its name. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';

const HOLES = [
  'CVE-2012-4575',
  'CVE-2015-6817',
  'CVE-2021-3935',
  'CVE-2021-23214',
  'CVE-2021-23222',
  'CVE-2021-43766',
  'CVE-2021-43767',
  'CVE-2023-22332',
  'CVE-2024-45624',
  'CVE-2025-2291',
  'CVE-2025-12819',
  'CVE-2025-22248',
  'CVE-2025-46801',
  'CVE-2025-49146',
  'CVE-2026-6664',
  'CVE-2026-6665',
  'CVE-2026-6666',
  'CVE-2026-6667',
  'CVE-2026-6668',
  'CVE-2026-6669',
  'CVE-2026-42198',
  'CVE-2026-107348',
  'CVE-2026-107349',
  'CVE-2026-107350',
  'od#149',
  'od result buffer',
  'PgBouncer #723',
];

const root = new URL('../../', import.meta.url);

/** Texts in quotes of the tests: names, whether they stand in `it(` or in a table of cases. */
function quotedTexts(): string[] {
  const files = ['security', 'integration'].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root))
      .filter((name) => name.endsWith('.test.ts') && name !== 'known-holes.test.ts')
      .map((name) => readFileSync(new URL(`${folder}/${name}`, root), 'utf8')),
  );
  const lines = files.flatMap((text) => text.split('\n')).filter((line) => !/^\s*(\/\*|\*|\/\/)/.test(line));
  return lines.flatMap((line) => line.match(/'[^']*'|`[^`]*`/g) ?? []);
}

it('each is the name of a test, or of a case in one', () => {
  const texts = quotedTexts();
  const missing = HOLES.filter((id) => !texts.some((text) => new RegExp(`${id}(?![0-9])`).test(text)));
  assert.deepEqual(missing, []);
});
