/**
 * What a client did must not be met by the next one, whatever it did and however it disappeared. PGDOG_TEST_LONG=1
 * tries everything with everything; else each driver and number of workers but one takes turns at the exits.
 */
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import type { TestPostgres } from '../../support/embedded-postgres.js';
import { EXITS, type LeakExit, TIMED_EXITS, TIMEOUTS } from '../../support/leak-exits.js';
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

const KINDS: [name: string, kind: LeakKind][] = Object.entries({ ...SETTING_KINDS, ...OBJECT_KINDS });
const isLong = process.env['PGDOG_TEST_LONG'] === '1';

let server: TestPostgres;
let clean: Traces;
before(async () => {
  server = await startLanes();
  const direct = await laneClient(server, LANES[0] ?? '');
  clean = await readTraces(direct);
  await direct.end();
});
after(() => server.stop());

/** Of a time-out that came while something was still being made, or looked at. */
const LATE = /57014|57P05|25P03|58000|closed/;

/** One client leaves something and goes; the next one, on the same server connection, looks. */
async function leaveAndLook(
  proxy: TestProxy,
  lane: string,
  kind: LeakKind,
  [name, exit]: [string, LeakExit],
): Promise<void> {
  if (exit.isInTransaction === true && kind.isOutsideTransactions === true) return;
  const a = await patientClient(proxy, lane);
  const meddle = async (): Promise<void> => {
    const other = await laneClient(proxy, lane);
    await other.query('SELECT 1');
    await other.end();
  };
  try {
    await exit.leave(a, () => kind.make(a, meddle));
    const b = await patientClient(proxy, lane);
    assertClean(clean, await readTraces(b), `left behind after ${name}`);
    await b.end();
  } finally {
    a.destroy();
  }
}

/** `share` of the exits for each kind, others for its neighbour: every pair comes up with some driver and kind. */
function turnsAt(exits: Record<string, LeakExit>, index: number, share: number): [string, LeakExit][] {
  const all = Object.entries(exits);
  const count = isLong ? all.length : Math.ceil(all.length * share);
  return Array.from({ length: count }, (_, turn) => all[(index * count + turn) % all.length]).filter(
    (exit) => exit !== undefined,
  );
}

interface Round {
  title: string;
  workers: number;
  exits: Record<string, LeakExit>;
  share: number;
  general?: Record<string, number>;
  /** Waiting takes its time: the drivers share the kinds between them. */
  part?: 0 | 1;
}

const ROUNDS: Record<'io_uring' | 'epoll', Round[]> = {
  io_uring: [
    { title: 'one worker', workers: 1, exits: EXITS, share: 1 },
    { title: 'two workers', workers: 2, exits: EXITS, share: 0.1 },
    { title: 'its time is over', workers: 1, exits: TIMED_EXITS, share: 0.3, general: TIMEOUTS, part: 0 },
  ],
  epoll: [
    { title: 'one worker', workers: 1, exits: EXITS, share: 0.1 },
    { title: 'two workers', workers: 2, exits: EXITS, share: 0.3 },
    { title: 'its time is over', workers: 2, exits: TIMED_EXITS, share: 0.3, general: TIMEOUTS, part: 1 },
  ],
};

forEachDriver('what a client leaves behind', (driver) => {
  for (const { title, workers, exits, share, general, part } of ROUNDS[driver]) {
    const lanes = new LanePool();
    let proxy: TestProxy;
    before(async () => {
      proxy = await startLaneProxy(server, driver, workers, general);
    });
    after(() => proxy.stop());

    it(`nothing: ${title}`, { concurrency: LANES.length }, async (t) => {
      const kinds = KINDS.filter((_, index) => isLong || part === undefined || index % 2 === part);
      const tests = kinds.map(([name, kind], index) =>
        t.test(name, () =>
          lanes.use(async (lane) => {
            for (const exit of turnsAt(exits, index, share)) {
              const once = (): Promise<void> => leaveAndLook(proxy, lane, kind, exit);
              await (general === undefined ? once() : unhurried(LATE, once));
            }
          }),
        ),
      );
      await Promise.all(tests);
    });
  }
});
