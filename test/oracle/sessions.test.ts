/**
 * Sessions made from a seed (writes, transactions, prepared statements) on a sharded database and on one Postgres with all rows.
 * PGDOG_ORACLE_SEED and PGDOG_ORACLE_COUNT: of the statements. `node scripts/oracle.mjs` runs many more.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { OracleRig, OracleTally } from './oracle-rig.js';
import { SessionGenerator } from './session-generator.js';
import { SessionOracle } from './session-oracle.js';

const { PGDOG_ORACLE_SEED, PGDOG_ORACLE_COUNT } = process.env;
const SEED = Number(PGDOG_ORACLE_SEED ?? 20_261);
const COUNT = Number(PGDOG_ORACLE_COUNT ?? 400);
const WRONG_SHOWN_MAX = 20;

forOneDriver(
  'the oracle of sessions',
  (driver) => {
    let rig: OracleRig;
    before(async () => {
      rig = await OracleRig.start(driver);
    });
    after(() => rig.stop());

    it(`${COUNT} statements in sessions from seed ${SEED}: equal or refused`, {
      timeout: 3_600_000,
    }, async () => {
      const tally = new OracleTally();
      const oracle = new SessionOracle(rig, new SessionGenerator(SEED), tally);
      await oracle.run(COUNT);
      console.log(tally.summary);
      const shown = [...tally.wrongs, ...oracle.histories].slice(0, WRONG_SHOWN_MAX).join('\n\n');
      assert.equal(tally.wrongs.length, 0, `\nwrong answers, and what went ahead of them:\n${shown}\n`);
      assert.ok(tally.total('equal') > COUNT / 2, 'most are refused: they test nothing');
    });
  },
  SEED,
);
