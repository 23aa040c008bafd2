/**
 * A client that lives on while another uses its server connection: it keeps what it has, and the other does not see it. What
 * cannot be shared keeps the connection, and the other is told so when it has waited long enough.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import type { TestPostgres } from '../../support/embedded-postgres.js';
import { B, E, P, S } from '../../support/frames.js';
import type { LeakKind } from '../../support/leak-kind.js';
import {
  LANES,
  LanePool,
  laneClient,
  patientClient,
  startLaneProxy,
  startLanes,
} from '../../support/leak-lanes.js';
import { OBJECT_KINDS } from '../../support/leak-objects.js';
import { SETTING_KINDS } from '../../support/leak-settings.js';
import { assertClean, readTraces, type Traces } from '../../support/leak-traces.js';
import { unhurried } from '../../support/patience.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient, RawResult } from '../../support/raw-client.js';
import { sqlstateOf } from '../../support/wire.js';

const KINDS: [name: string, kind: LeakKind][] = Object.entries({ ...SETTING_KINDS, ...OBJECT_KINDS });

let server: TestPostgres;
let clean: Traces;
before(async () => {
  server = await startLanes();
  const direct = await laneClient(server, LANES[0] ?? '');
  clean = await readTraces(direct);
  await direct.end();
});
after(() => server.stop());

/** Sees nothing, or has waited in vain. */
async function assertSeesNothing(client: RawClient): Promise<void> {
  const { error } = await client.query('SELECT 1');
  // Beside one that is pinned, or on a machine that stood still for so long.
  if (error === null) assertClean(clean, await readTraces(client), 'seen by another client');
  else assert.equal(error['C'], '58000', error['M']);
}

async function liveOn(proxy: TestProxy, lane: string, kind: LeakKind): Promise<void> {
  const [a, b] = await Promise.all([patientClient(proxy, lane), patientClient(proxy, lane)]);
  try {
    await kind.make(a, async () => void (await b.query('SELECT 1')));
    for (let round = 0; round < 2; round++) {
      await assertSeesNothing(b);
      for (const [look, value] of round === 0 ? kind.keeps : kind.keeps.filter(([sql]) => !isOnce(sql))) {
        const { rows, error } = await a.query(look);
        assertServed(error?.['C'] ?? '');
        assert.equal(error?.['M'] ?? rows[0]?.[0], value, `${look}, round ${round}`);
      }
    }
  } finally {
    await Promise.all([a.end(), b.end()]);
  }
}

const LATE = /58000/;
/** Throws where a short checkout_timeout was over; see `unhurried`. */
function assertServed(sqlstate: string): void {
  if (sqlstate === '58000') throw new Error(`${sqlstate}: not served in time`);
}

/** Looking changes the answer. */
const isOnce = (sql: string): boolean => /nextval|random|FETCH/.test(sql);

/** How currval() may be asked; gives the SQLSTATE. */
const MANNERS: Record<string, (client: RawClient, ask: string) => Promise<string>> = {
  'as a query': async (client, ask) => sqlstateOf(await client.query(ask)),
  'in a transaction': async (client, ask) => {
    await client.query('BEGIN');
    return sqlstateOf(await client.query(ask));
  },
  'among others': async (client, ask) => sqlstateOf(await client.query(`SELECT 1; ${ask}`)),
  'in a batch': async (client, ask) => {
    client.send(P('', ask), B('', ''), E(''), S());
    return sqlstateOf(await client.readUntilReady());
  },
  'later in a batch': async (client, ask) => {
    client.send(P('', 'SELECT 1'), B('', ''), E(''), P('', ask), B('', ''), E(''), S());
    return sqlstateOf(await client.readUntilReady());
  },
  'by a named statement': async (client, ask) => {
    client.send(P('ask', ask), S(), B('', 'ask'), E(''), S());
    return sqlstateOf(await client.readUntilReady(2));
  },
  'by EXECUTE': async (client, ask) => {
    await client.query(`PREPARE ask AS ${ask}`);
    return sqlstateOf(await client.query('EXECUTE ask'));
  },
  'by EXECUTE in a batch': async (client, ask) => {
    await client.query(`PREPARE ask AS ${ask}`);
    client.send(P('', 'EXECUTE ask'), B('', ''), E(''), S());
    return sqlstateOf(await client.readUntilReady());
  },
};

forEachDriver('what a client keeps while others use its server connection', (driver) => {
  const lanes = new LanePool();
  let proxy: TestProxy;
  before(async () => {
    proxy = await startLaneProxy(server, driver, driver === 'epoll' ? 2 : 1, { checkout_timeout: 500 });
  });
  after(() => proxy.stop());

  it('all, and nobody sees it', { concurrency: LANES.length }, async (t) => {
    await Promise.all(
      KINDS.map(([name, kind]) =>
        t.test(name, () => lanes.use((lane) => unhurried(LATE, () => liveOn(proxy, lane, kind)))),
      ),
    );
  });

  it('currval and lastval of another client are not seen, at whatever moment they are asked', () =>
    lanes.use(async (lane) => {
      for (const ask of ["SELECT currval('counter')", 'SELECT lastval()', 'SELECT lastval() + 0 AS x']) {
        for (const [manner, question] of Object.entries(MANNERS)) {
          await unhurried(LATE, async () => {
            const [a, b] = await Promise.all([patientClient(proxy, lane), patientClient(proxy, lane)]);
            try {
              const drawn = sqlstateOf(await a.query("SELECT nextval('counter')"));
              const answer = await question(b, ask);
              for (const sqlstate of [drawn, answer]) assertServed(sqlstate);
              assert.deepEqual([drawn, answer], ['', '55000'], `${ask} ${manner}`);
            } finally {
              await Promise.all([a.end(), b.end()]);
            }
          });
        }
      }
    }));

  it('who has drawn in another transaction is told why currval is not defined, and can have it', () =>
    lanes.use((lane) =>
      unhurried(LATE, async () => {
        const [client, other] = [await patientClient(proxy, lane), await patientClient(proxy, lane)];
        const tried = async (by: RawClient, sql: string): Promise<RawResult> => {
          const result = await by.query(sql);
          assertServed(sqlstateOf(result));
          return result;
        };
        try {
          for (const ask of ["SELECT currval('counter')", 'SELECT lastval()']) {
            await tried(other, "SELECT nextval('counter')");
            await tried(client, "SELECT nextval('counter')");
            await tried(other, 'SELECT lastval()');
            const { error } = await tried(client, ask);
            assert.equal(error?.['C'], '55000');
            assert.match(error?.['H'] ?? '', /RETURNING, or SET pgdog\.pin TO on/);
            await tried(client, 'SET pgdog.pin TO on');
            const { rows } = await tried(client, "SELECT nextval('counter')");
            assert.deepEqual((await tried(client, ask)).rows, rows);
            await tried(client, 'SET pgdog.pin TO off');
          }
        } finally {
          await Promise.all([client.end(), other.end()]);
        }
      }),
    ));
});
