/**
 * Texts that Postgres reads otherwise than by the usual rules, because of the client's settings: what they hide from our
 * reading is the same as everything else, and does not reach the next client.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../../support/drivers.js';
import type { TestPostgres } from '../../support/embedded-postgres.js';
import { B, E, frame, int16, Q, S, text } from '../../support/frames.js';
import { LANES, LanePool, laneClient, startLaneProxy, startLanes } from '../../support/leak-lanes.js';
import { assertClean, readTraces, type Traces } from '../../support/leak-traces.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import { clientOf, run } from '../../support/wire.js';

let server: TestPostgres;
let clean: Traces;
before(async () => {
  server = await startLanes();
  const direct = await laneClient(server, LANES[0] ?? '');
  clean = await readTraces(direct);
  await direct.end();
});
after(() => server.stop());

/** Two characters of those encodings, of which the second ends in a backslash; a character and a backslash in UTF-8. */
const PAIR: Record<string, string> = {
  SJIS: '\xe6\x95\x95\\',
  BIG5: '\xe6\xa5\xa5\\',
  GBK: '\xe6\x95\x95\\',
  GB18030: '\xe6\x95\x95\\',
  SHIFT_JIS_2004: '\xe6\x95\x95\\',
};

/** A setting, and what hides behind it: as a Query, and as one statement. */
const TRICKS: [setting: Record<string, string>, query: string, statement: string][] = [
  [
    { standard_conforming_strings: 'off' },
    String.raw`SELECT 'a\'', set_config('work_mem', '77MB', false) --'`,
    String.raw`SELECT 'a\'', set_config('role', 'alice', false) --'`,
  ],
  ...Object.entries(PAIR).map(([encoding, pair]): [Record<string, string>, string, string] => [
    { client_encoding: encoding },
    `SELECT E'${pair}'; SET ROLE alice; --'`,
    `SELECT E'${pair}' || set_config('work_mem', '77MB', false); --'`,
  ]),
  // As we read it the string does not end, so that Postgres would refuse the whole.
  [{ client_encoding: 'SJIS' }, `SELECT E'${PAIR['SJIS']}'; SET work_mem = '77MB'`, 'SELECT 1'],
];

const latin1 = (sql: string): Buffer => Buffer.concat([Buffer.from(sql, 'latin1'), Buffer.from([0])]);
const parse = (name: string, sql: string): Buffer => frame('P', text(name), latin1(sql), int16(0));

/** Ways to send it, before and after somebody else has used the server connection. */
const WAYS: Record<
  string,
  (client: RawClient, query: string, sql: string, meddle: () => Promise<void>) => void
> = {
  'in a Query': async (client, query) => client.send(frame('Q', latin1(query))),
  'in a Query, later': async (client, query, _sql, meddle) => {
    await meddle();
    client.send(frame('Q', latin1(query)));
  },
  'unnamed, later': async (client, _query, sql, meddle) => {
    await meddle();
    client.send(parse('', sql), B('', ''), E(''), S());
  },
  'by name, later': async (client, _query, sql, meddle) => {
    client.send(parse('it', sql), S());
    await client.readUntilReady();
    await meddle();
    client.send(B('', 'it'), E(''), S());
  },
};

forOneDriver('texts that are read otherwise', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startLaneProxy(server, driver, 1);
  });
  after(() => proxy.stop());
  const lanes = new LanePool();

  for (const [way, send] of Object.entries(WAYS)) {
    it(`what they set is gone with their client: ${way}`, async () => {
      const tries = TRICKS.flatMap(([settings, query, statement]) =>
        ['at start-up', 'by SET'].map((when) => ({ settings, query, statement, when })),
      );
      const attempt = (each: (typeof tries)[number]) => async (lane: string) => {
        const { settings, query, statement, when } = each;
        const isStartup = when === 'at start-up';
        const client = await clientOf(proxy, { database: lane, parameters: isStartup ? settings : {} });
        if (!isStartup) {
          for (const [name, value] of Object.entries(settings)) await run(client, `SET ${name} = '${value}'`);
        }
        await send(client, query, statement, async () => {
          const other = await laneClient(proxy, lane);
          other.send(Q('SELECT 1'));
          await other.readUntilReady();
          await other.end();
        });
        const { error } = await client.readUntilReady();
        assert.equal(error, null, `${query}: ${error?.['M']}`);
        client.destroy();
        const next = await laneClient(proxy, lane);
        assertClean(clean, await readTraces(next), `${way}, ${when}: ${JSON.stringify(settings)} ${query}`);
        await next.end();
      };
      await Promise.all(tries.map((each) => lanes.use(attempt(each))));
    });
  }
});
