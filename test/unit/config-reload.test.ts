/** What a reload is made of: differences, former passwords, what waits for a restart, numbers of pools. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createSharedMemory } from '@pgdog-cluster/core';
import { Secret } from '@pgdog-cluster/core/config';
import {
  DynamicPools,
  describeChanges,
  diffConfig,
  FormerPasswords,
  keepRestartOnly,
  NO_TLS,
  PoolNumbers,
  poolKeyOf,
  Reloads,
  waysTo,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { load } from '../support/load-configuration.js';

const DATABASE = '[[databases]]\nname = "shop"\nhost = "10.0.0.1"\n';
const user = (more: string) => `[[users]]\nname = "shop"\ndatabase = "shop"\n${more}\n`;
const config = (head = '', databases = DATABASE, users = user('password = "one"')) =>
  load({ config: `[general]\n${head}\n${databases}`, users });
const told = (before: ReturnType<typeof load>, now: ReturnType<typeof load>) =>
  describeChanges(diffConfig(before, now));

test('differences are told by name, of secrets only that they changed', () => {
  assert.equal(told(config(), config()), 'nothing has changed');
  assert.equal(told(config(), config('query_timeout = 5')), 'setting query_timeout: 0 -> 5');
  assert.equal(
    told(config(), config('', `${DATABASE}port = 5433\n[[databases]]\nname = "more"\nhost = "h"\n`)),
    'database "shop" changed (port: 5432 -> 5433); database "more" added',
  );
  // As the files have them, whatever they are called inside.
  assert.equal(
    told(
      config(),
      config('', `${DATABASE}pool_size_primary = 3\nlog_min_duration_statement = 4\nquery_timeout = 5\n`),
    ),
    'database "shop" changed (pool_size_primary: unset -> 3, query_timeout: unset -> 5, log_min_duration_statement: unset -> 4)',
  );
  assert.equal(
    told(config(), config('', DATABASE, user('password = "two"\nserver_password = "three"'))),
    'user "shop" changed (passwords changed, server_password changed)',
  );
});

test('a thousand differences are told in a bounded text', () => {
  const many = Array.from({ length: 1000 }, (_, n) => `[[databases]]\nname = "d${n}"\nhost = "h"\n`).join('');
  const text = told(config(), config('', DATABASE + many));
  assert.ok(text.length < 2100, String(text.length));
  assert.match(text, /; and 9\d\d more$/);
});

test('what a restart must change stays, and is named', () => {
  const started = config('workers = 2');
  const { loaded, pending } = keepRestartOnly(
    config('workers = 3\nio_driver = "epoll"\nport = 7000\nquery_timeout = 9'),
    started,
  );
  assert.deepEqual(
    pending.map(({ name, inForce, inFile }) => `${name} ${inForce} ${inFile}`),
    ['io_driver auto epoll', 'workers 2 3', 'listen addresses (host, port) 0.0.0.0:6432 0.0.0.0:7000'],
  );
  assert.equal(loaded.workerCount, 2);
  assert.equal(loaded.general.port, 6432);
  assert.equal(loaded.general.io_driver, 'auto');
  assert.equal(loaded.general.query_timeout, 9);
});

test('former passwords: behind the own ones, each for its time, ended by 0', () => {
  const of = (password: string, graceMs = 1000) =>
    config(`password_grace_period = ${graceMs}`, DATABASE, user(`password = "${password}"`));
  const accepted = (former: FormerPasswords, loaded: ReturnType<typeof load>, nowMs: number) =>
    former.applyTo(loaded, nowMs).users[0].passwords.map((secret) => secret.reveal());
  const [one, two, three] = [of('one'), of('two'), of('three')];
  const none = new FormerPasswords();
  assert.deepEqual(accepted(none.next(one, one, 0), one, 0), ['one']);
  const first = none.next(one, two, 100);
  assert.deepEqual(accepted(first, two, 1099), ['two', 'one']);
  assert.deepEqual(accepted(first, two, 1100), ['two']);
  assert.equal(first.endMs(100), 1100);
  const second = first.next(two, three, 600);
  assert.deepEqual(accepted(second, three, 1000), ['three', 'one', 'two']);
  assert.deepEqual(accepted(second, three, 1200), ['three', 'two']);
  // Back to one of them: it is nobody's former one then.
  assert.deepEqual(accepted(second.next(three, one, 700), one, 800), ['one', 'two', 'three']);
  const ended = second.next(three, of('three', 0), 700);
  assert.deepEqual(accepted(ended, three, 700), ['three']);
  assert.equal(ended.endMs(700), null);
});

test('a number is given to another pool when every worker has left the former, with cleared rows', () => {
  const memory = createSharedMemory({ workers: 2, poolsMax: 2, fdMax: 64 });
  const freed: number[] = [];
  const numbers = new PoolNumbers({ memory, onFree: (index) => freed.push(index) });
  const { workers, counters, capacity } = memory;
  const settle = (...epochs: number[]) =>
    epochs.forEach((epoch, worker) => void workers.setSettledEpoch(worker, epoch));
  assert.deepEqual([numbers.obtain('a'), numbers.obtain('b'), numbers.obtain('c')], [0, 1, null]);
  assert.equal(numbers.obtain('a'), 0, 'the same again');
  numbers.retain(new Set([0, 1]), 1);
  counters.cells[counters.rowBase(1, 0)] = 7;
  numbers.retain(new Set([1]), 2);
  settle(2, 1);
  numbers.reclaim();
  assert.equal(numbers.obtain('c'), null, 'one worker may still write to its row');
  settle(2, 2);
  capacity.setPoolGroups(0, 0, 0);
  capacity.setPoolLimit(0, 1);
  capacity.tryClaim(0, 0);
  numbers.reclaim();
  assert.equal(numbers.obtain('c'), null, 'a server connection of it is on its way between workers');
  capacity.giveBack(0, 0);
  assert.equal(numbers.obtain('a'), 0, 'it is configured again');
  numbers.reclaim();
  assert.equal(counters.sum(0)[0], 7, 'and its figures go on');
  numbers.retain(new Set([1]), 3);
  settle(3, 3);
  numbers.reclaim();
  assert.deepEqual(freed, [0]);
  assert.equal(numbers.obtain('c'), 0);
  assert.equal(counters.sum(0)[0], 0);
  // A worker that starts knows nothing yet: it may still take up what was published before.
  numbers.retain(new Set([0]), 4);
  workers.clearWorker(1);
  settle(4);
  numbers.reclaim();
  assert.equal(numbers.obtain('d'), null);
});

test('numbers of a database: also those of pools that a reload took away and some worker still has', () => {
  const memory = createSharedMemory({ workers: 1, poolsMax: 8, fdMax: 64 });
  const numbers = new PoolNumbers({ memory, onFree: () => {} });
  const key = (name: string, host: string) => poolKeyOf({ name, shard: 0, host, port: 5432 }, 'app');
  const [old, now] = [numbers.obtain(key('shop', 'old')), numbers.obtain(key('shop', 'new'))];
  const like = numbers.obtain(key('shop2', 'old'));
  numbers.retain(new Set([1, 2]), 2);
  assert.deepEqual(numbers.indexesOf('shop'), [old, now]);
  assert.deepEqual(numbers.indexesOf(null), [old, now, like]);
  memory.workers.setSettledEpoch(0, 2);
  numbers.reclaim();
  assert.deepEqual(numbers.indexesOf('shop'), [now]);
  assert.deepEqual(numbers.indexesOf('sho'), []);
});

test('a grace whose end cannot be taken up ends at a later attempt', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const [one, two] = ['one', 'two'].map((password) =>
      config('password_grace_period = 1000', DATABASE, user(`password = "${password}"`)),
    );
    const logger = new FakeLogger();
    const accepted: string[][] = [];
    let isBroken = false;
    let nowMs = 0;
    const publish = async (loaded: typeof one) => {
      if (isBroken) throw new Error('no room');
      accepted.push(loaded.users[0].passwords.map((secret) => secret.reveal()));
      return accepted.length;
    };
    const reloads = new Reloads(
      {
        load: () => two,
        publication: { publish, tls: NO_TLS },
        logger,
        nowMs: () => nowMs,
        onReloaded: () => {},
      },
      one,
    );
    const pass = async (ms: number) => {
      nowMs += ms;
      mock.timers.tick(ms);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    };
    await reloads.reload('test');
    isBroken = true;
    await pass(2000);
    assert.match(logger.of('reload_failed')[0]?.message ?? '', /former passwords stay accepted, .* no room/);
    isBroken = false;
    await pass(60_000);
    assert.deepEqual(accepted, [['two', 'one'], ['two']]);
    assert.equal(logger.of('password_grace_over').length, 1);
    reloads.close();
  } finally {
    mock.timers.reset();
  }
});

test('pools of logins follow the configuration: the secret stays for whom it lists without one, the rest is as it says', async () => {
  const query = 'auth_query = "SELECT 1"\nauth_user = "asker"';
  const listed = (more = '') =>
    `[[users]]\nname = "app"\ndatabase = "shop"\nserver_user = "owner"\n${more}\n`;
  const asked = (users: string, head = query) => config(head, DATABASE, users);
  const nobody = user('password = "another"');
  const first = asked(listed());
  const numbers = new Map<string, number>();
  const obtain = (key: string) => {
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    return numbers.get(key) ?? null;
  };
  let { databases } = first;
  const places = { entriesOf: () => databases, waysOf: waysTo };
  const pools = new DynamicPools(first, { obtain }, places);
  const takeUp = async (next: typeof first) => {
    databases = next.databases;
    await pools.takeUp(next);
  };
  const made = pools.obtain(
    first.databases,
    await waysTo(first.databases),
    first.users[0],
    new Secret('known'),
    [],
  );
  const shown = () =>
    pools.pools.map(({ index, serverUser, serverPasswords, poolSize }) => [
      index,
      serverUser,
      serverPasswords,
      poolSize,
    ]);
  assert.equal(made[0].serverUser, 'owner');
  await takeUp(asked(listed('pool_size = 3')));
  assert.deepEqual(shown(), [[0, 'owner', ['known'], 3]]);
  // Not listed any more, and let in by auth_query still: as anybody.
  await takeUp(asked(nobody));
  assert.deepEqual(shown(), [[0, 'app', ['known'], 10]]);
  await takeUp(asked(listed()));
  assert.deepEqual(shown(), [[0, 'owner', ['known'], 10]]);
  await takeUp(asked(listed('password = "own"')));
  assert.deepEqual(shown(), [], 'it has a secret of its own');
  pools.obtain(first.databases, await waysTo(first.databases), first.users[0], new Secret('known'), []);
  await takeUp(asked(nobody, ''));
  assert.deepEqual(shown(), [], 'nobody lets strangers in');
});
