/**
 * The long run of the oracle: statements made from a seed, on shards and on one Postgres with all rows. Half are reads,
 * half are sessions of writes, transactions and prepared statements. Needs a build.
 *
 *     node scripts/oracle.mjs                      20,000 statements, from a seed that is printed
 *     SEED=7 COUNT=5000 node scripts/oracle.mjs    those again, or others
 *     PGDOG_ORACLE_LOCALE=en-US node scripts/oracle.mjs   databases that sort texts by that locale
 *     WRITE=1 node scripts/oracle.mjs              the counts go into the documentation
 *
 * An odd seed runs on epoll, an even one on io_uring (PGDOG_TEST_DRIVER decides otherwise). Exit code 1 when an answer is wrong.
 */
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { OracleGenerator } from '../test/dist/oracle/generator.js';
import { OracleRig, OracleTally } from '../test/dist/oracle/oracle-rig.js';
import { madeTable, withTable } from '../test/dist/oracle/oracle-table.js';
import { SessionGenerator } from '../test/dist/oracle/session-generator.js';
import { SessionOracle } from '../test/dist/oracle/session-oracle.js';
import { driverOfSeed } from '../test/dist/support/drivers.js';

const DOCUMENT = new URL('../docs/internals/sharding.md', import.meta.url);
const { env } = process;
const seed = Number(env.SEED ?? randomInt(1_000_000_000));
const count = Number(env.COUNT ?? 20_000);
const driver = driverOfSeed(seed);

console.log(`seed ${seed}, ${count} statements, ${driver}`);
const rig = await OracleRig.start(driver);
const tally = new OracleTally();
const sessions = new SessionOracle(rig, new SessionGenerator(seed), tally);
await sessions.run(Math.ceil(count / 2));
const reads = new OracleGenerator(seed);
for (let done = 0; done < count / 2; done++) {
  const each = { ...reads.next(), construct: 'reads' };
  tally.add(each, await rig.judge(each));
}
await rig.stop();

console.log(tally.summary);
console.log(madeTable(tally.constructs));
for (const wrong of [...tally.wrongs, ...sessions.histories]) console.log(`\n${wrong}`);
if (env.WRITE === '1') {
  const table = `${madeTable(tally.constructs)}\n\nSeed ${seed}, ${driver}.`;
  writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), table, 'made'));
}
process.exit(tally.wrongs.length === 0 ? 0 : 1);
