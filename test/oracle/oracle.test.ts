/**
 * What a sharded database answers, beside one Postgres with all rows: the same, or a refusal (0A000), never something else.
 * PGDOG_ORACLE_SEED and PGDOG_ORACLE_COUNT: of the generated statements. PGDOG_ORACLE_ONLY: constructs whose name
 * has it. PGDOG_ORACLE_WRITE=1 writes the table of the documentation anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { ROOT } from '../support/tree.js';
import { apartCases } from './corpus-apart.js';
import { arrayCases } from './corpus-arrays.js';
import { copyCases } from './corpus-copy.js';
import { countedCases } from './corpus-counted.js';
import { cursorCases } from './corpus-cursor.js';
import { directCases } from './corpus-direct.js';
import { groupEdgeCases } from './corpus-group-edges.js';
import { groupCases } from './corpus-groups.js';
import { localCases } from './corpus-local.js';
import { madeCases } from './corpus-made.js';
import { memberCases } from './corpus-members.js';
import { mergeCases } from './corpus-merge.js';
import { moveCases } from './corpus-move.js';
import { prepareCases } from './corpus-prepare.js';
import { sessionCases } from './corpus-session.js';
import { slyCases } from './corpus-sly.js';
import { timeCases } from './corpus-time.js';
import { writeCases } from './corpus-write.js';
import { OracleGenerator } from './generator.js';
import { describeCase, type OracleCase } from './oracle-case.js';
import { OracleRig, OracleTally } from './oracle-rig.js';
import { exactTable, outdatedRows, withTable } from './oracle-table.js';

const { PGDOG_ORACLE_SEED, PGDOG_ORACLE_COUNT, PGDOG_ORACLE_ONLY, PGDOG_ORACLE_WRITE } = process.env;
const SEED = Number(PGDOG_ORACLE_SEED ?? 20_261);
const COUNT = Number(PGDOG_ORACLE_COUNT ?? 400);
/** Named in the output. */
const SLOW_MS = 1000;
const WRONG_SHOWN_MAX = 200;
const DOCUMENT = `${ROOT}/docs/internals/sharding.md`;

forOneDriver('the oracle', (driver) => {
  let rig: OracleRig;
  before(async () => {
    rig = await OracleRig.start(driver);
  });
  after(() => rig.stop());

  const judgeAll = async (cases: Iterable<OracleCase>): Promise<OracleTally> => {
    const tally = new OracleTally();
    for (const each of cases) {
      const startedMs = performance.now();
      tally.add(each, await rig.judge(each));
      const tookMs = performance.now() - startedMs;
      if (tookMs > SLOW_MS) console.log(`${Math.round(tookMs)} ms: ${describeCase(each)}`);
    }
    console.log(tally.summary);
    const shown = tally.wrongs.slice(0, WRONG_SHOWN_MAX);
    assert.equal(tally.wrongs.length, 0, `\nwrong answers:\n  ${shown.join('\n  ')}\n`);
    return tally;
  };

  it('the shards have the rows of the reference, each where it belongs', async () => {
    assert.equal(await rig.stateDifference(), null);
  });

  it('statements by rule: equal or refused', async () => {
    const all = [
      ...directCases(),
      ...mergeCases(),
      ...apartCases(),
      ...memberCases(),
      ...countedCases(),
      ...groupCases(),
      ...groupEdgeCases(),
      ...writeCases(),
      ...arrayCases(),
      ...moveCases(),
      ...copyCases(),
      ...sessionCases(),
      ...slyCases(),
      ...madeCases(),
      ...cursorCases(),
      ...timeCases(),
      ...prepareCases(),
      ...localCases(),
    ];
    const only = PGDOG_ORACLE_ONLY;
    const cases =
      only === undefined
        ? all
        : all.filter(({ construct }) => only.split('|').some((part) => construct.includes(part)));
    const tally = await judgeAll(cases);
    if (only !== undefined) return;
    assert.ok(cases.length > 1000, `${cases.length} statements`);
    const document = readFileSync(DOCUMENT, 'utf8');
    if (PGDOG_ORACLE_WRITE === '1')
      writeFileSync(DOCUMENT, withTable(document, exactTable(tally.constructs)));
    else {
      const outdated = outdatedRows(document, tally.constructs);
      assert.deepEqual(outdated, [], 'the table is out of date: run with PGDOG_ORACLE_WRITE=1');
    }
  });

  it(`${COUNT} statements from seed ${SEED}: equal or refused`, { timeout: 3_600_000 }, async () => {
    const generator = new OracleGenerator(SEED);
    function* cases(): Generator<OracleCase> {
      for (let i = 0; i < COUNT; i++) yield generator.next();
    }
    const tally = await judgeAll(cases());
    assert.ok(tally.total('equal') > COUNT / 4, 'most are refused: they test nothing');
  });
});
