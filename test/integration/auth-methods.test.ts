/** Each method of logging in, by setting, by user and by HBA rule; strangers in each look like wrong passwords. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { deriveVerifier, formatVerifier, md5Hash } from '@pgdog-cluster/core';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { p, text } from '../support/frames.js';
import { tryLogin } from '../support/login.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { secret } from '../support/secrets.js';
import { eventually } from '../support/wire.js';

const CLEAR = secret('kept in clear');
const HASHED = secret('kept as md5 hash');
const VERIFIED = secret('kept as verifier');

const USERS = [
  { name: 'clear', password: CLEAR },
  { name: 'hashed', password: `md5${md5Hash(HASHED, 'hashed')}`, auth_type: 'md5' },
  { name: 'verified', password: formatVerifier(deriveVerifier(VERIFIED, 4096)) },
  { name: 'both', passwords: ['first of two', CLEAR] },
];

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ auth: 'trust' });
});
after(() => server.stop());

forEachDriver('methods', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    options: StartProxyOptions,
    body: (proxy: TestProxy) => Promise<void>,
  ): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server, { user: 'postgres' })],
      users: USERS,
      ...options,
      general: { min_pool_size: 0, log_level: 'trace', ...options.general },
    });
    try {
      await body(proxy);
    } finally {
      await proxy.stop();
    }
  }

  // Asked of each user with the right password, in the order of USERS; [] of a stranger.
  const clear = [3, 0];
  const md5 = [5, 0];
  const scram = [10, 11, 12, 0];
  const cases: [type: string, asked: number[][], stranger: number[]][] = [
    ['scram', [scram, md5, scram, scram], [10, 11]],
    ['scram-sha-256', [scram, md5, scram, scram], [10, 11]],
    ['md5', [md5, md5, scram, md5], [5]],
    ['plain', [clear, md5, clear, clear], [3]],
    ['password', [clear, md5, clear, clear], [3]],
    ['trust', [[0], md5, [0], [0]], []],
  ];
  for (const [type, asked, stranger] of cases) {
    const test = type === 'scram' ? it : decides;
    test(`${type}: every form of password, a user's own method, and strangers`, async () => {
      const general = { auth_type: type, plain_auth_without_tls: true };
      await withProxy({ general }, async (proxy) => {
        const passwords = [CLEAR, HASHED, VERIFIED, CLEAR];
        for (const [index, { name }] of USERS.entries()) {
          const right = await tryLogin(proxy, name, passwords[index] ?? '');
          assert.deepEqual([right.asked, right.sqlstate], [asked[index], ''], name);
          assert.equal((await right.client.query('SELECT 1')).error, null);
          await right.client.end();
          if (asked[index]?.length === 1) continue;
          const wrong = await tryLogin(proxy, name, 'wrong');
          assert.deepEqual(wrong.asked, asked[index]?.slice(0, asked[index].length === 4 ? 2 : 1), name);
          assert.equal(wrong.message, `password authentication failed for user "${name}"`);
        }
        const looks: number[][] = [];
        for (const database of ['postgres', 'nowhere']) {
          const { asked: of, sqlstate, message } = await tryLogin(proxy, 'stranger', CLEAR, { database });
          looks.push(of);
          // Where users look different, a stranger looks like one of them: always like the same.
          if (type === 'md5') assert.ok(of[0] === 5 || of[0] === 10, `${of}`);
          else assert.deepEqual(of, stranger, database);
          assert.equal(sqlstate, '28P01', database);
          assert.equal(message, 'password authentication failed for user "stranger"');
        }
        assert.deepEqual(looks[0], looks[1]);
      });
    });
  }

  decides(
    'md5: each look is as frequent among strangers as among users; verifiers only: all are asked for SCRAM',
    async () => {
      const general = { auth_type: 'md5', auth_failures_max: 0 };
      const askedOf = async (proxy: TestProxy): Promise<number> => {
        const names = Array.from({ length: 60 }, (_, index) => `stranger ${index}`);
        const asked = await Promise.all(
          names.map(async (name) => (await tryLogin(proxy, name, CLEAR)).asked[0]),
        );
        const again = await Promise.all(
          names.map(async (name) => (await tryLogin(proxy, name, CLEAR)).asked[0]),
        );
        assert.deepEqual(again, asked);
        return asked.filter((code) => code === 5).length;
      };
      // Of 60 with a chance of one half each, less than 10 or more than 50 are 5 deviations away.
      const half = [USERS[0], USERS[2]].map((user) => ({ ...user }));
      await withProxy({ general, users: half }, async (proxy) => {
        const count = await askedOf(proxy);
        assert.ok(count >= 10 && count <= 50, `${count} of 60 asked for md5`);
      });
      await withProxy({ general, users: [{ ...USERS[2] }] }, async (proxy) => {
        assert.equal(await askedOf(proxy), 0);
      });
    },
  );

  decides('plain: not without TLS unless allowed, before anybody has said a password', async () => {
    await withProxy({ general: { auth_type: 'plain' } }, async (proxy) => {
      for (const user of ['clear', 'stranger']) {
        const { asked, sqlstate, message } = await tryLogin(proxy, user, CLEAR);
        assert.deepEqual([asked, sqlstate], [[], '28000']);
        assert.match(message, /encrypted connections only/);
      }
    });
  });

  it('plain: passwords of 64 KB are read and are wrong; a refusal takes the same time for all', async () => {
    const general = { auth_type: 'plain', plain_auth_without_tls: true, auth_failures_max: 0 };
    await withProxy({ general }, async (proxy) => {
      const took = async (user: string, password: string): Promise<number> => {
        const startMs = performance.now();
        assert.equal((await tryLogin(proxy, user, password)).sqlstate, '28P01');
        return performance.now() - startMs;
      };
      for (const user of ['clear', 'verified', 'stranger']) {
        assert.ok((await took(user, 'x'.repeat(65_500))) >= 150, user);
        assert.ok((await took(user, 'wrong')) >= 150, user);
      }
      assert.equal((await tryLogin(proxy, 'clear', 'x'.repeat(65_536))).sqlstate, '08P01');
    });
  });

  decides('cert and peer without certificate or socket let nobody in', async () => {
    await withProxy({ general: { auth_type: 'cert' } }, async (proxy) => {
      for (const user of ['clear', 'stranger']) {
        const { asked, sqlstate, message } = await tryLogin(proxy, user, CLEAR);
        assert.deepEqual([asked, sqlstate], [[], '28000']);
        assert.equal(message, `certificate authentication failed for user "${user}"`);
      }
    });
  });

  const RULES = [
    'local   all        all                    peer',
    'hostssl all        all      all           cert',
    'host    admin      admin    127.0.0.1/32  scram-sha-256',
    'host    postgres   clear    127.0.0.1/32  scram-sha-256',
    'host    postgres   hashed   127.0.0.1/32  scram-sha-256',
    'host    postgres   verified 127.0.0.0/8   md5',
    'host    postgres   both     samehost      password',
    'host    postgres   trusted  127.0.0.1/32  trust',
    'host    postgres   barred   127.0.0.1/32  reject',
    'host    postgres   stranger 127.0.0.1/32  scram-sha-256',
    'host    postgres   mapped   10.0.0.0/8    trust',
  ].join('\n');

  decides('hba: the first rule that fits says what is asked', async () => {
    const users = [...USERS, { name: 'trusted' }, { name: 'barred' }, { name: 'mapped' }];
    const general = { auth_type: 'hba', auth_hba_file: 'rules', plain_auth_without_tls: true };
    await withProxy({ users, general, files: { rules: RULES } }, async (proxy) => {
      const outcomes: [user: string, password: string, asked: number[], sqlstate: string][] = [
        ['clear', CLEAR, scram, ''],
        // An md5 hash cannot do SCRAM: the exchange is played to its end.
        ['hashed', HASHED, [10, 11], '28P01'],
        ['verified', VERIFIED, scram, ''],
        ['both', CLEAR, clear, ''],
        ['trusted', '', [0], ''],
        ['stranger', CLEAR, [10, 11], '28P01'],
      ];
      for (const [user, password, asked, sqlstate] of outcomes) {
        const result = await tryLogin(proxy, user, password);
        assert.deepEqual([result.asked, result.sqlstate], [asked, sqlstate], user);
        result.client.destroy();
      }
      const barred = await tryLogin(proxy, 'barred', '');
      assert.deepEqual([barred.asked, barred.sqlstate], [[], '28000']);
      assert.equal(
        barred.message,
        'pg_hba.conf rejects connection for host "127.0.0.1", user "barred", database "postgres", no encryption',
      );
      for (const [user, database] of [
        ['mapped', 'postgres'],
        ['clear', 'nowhere'],
        ['nobody', 'postgres'],
      ] as const) {
        const { sqlstate, message } = await tryLogin(proxy, user, CLEAR, { database });
        assert.equal(sqlstate, '28000');
        assert.equal(
          message,
          `no pg_hba.conf entry for host "127.0.0.1", user "${user}", database "${database}", no encryption`,
        );
      }
      assert.equal((await proxy.adminQuery('SHOW POOLS')).length > 0, true);
    });
  });

  decides(
    'hba: trust for all databases does not open the admin database, a rule that names it does',
    async () => {
      const general = { auth_type: 'hba', auth_hba_file: 'rules' };
      const admin = { database: 'admin' };
      await withProxy({ general, files: { rules: 'host all all all trust' } }, async (proxy) => {
        assert.deepEqual((await tryLogin(proxy, 'clear', '')).sqlstate, '');
        assert.equal((await tryLogin(proxy, 'admin', 'wrong', admin)).sqlstate, '28P01');
        assert.equal((await tryLogin(proxy, 'admin', 'admin', admin)).sqlstate, '');
      });
      await withProxy({ general, files: { rules: 'host admin admin all trust' } }, async (proxy) => {
        assert.deepEqual((await tryLogin(proxy, 'admin', '', admin)).asked, [0]);
        assert.equal((await tryLogin(proxy, 'clear', '', admin)).sqlstate, '28000');
      });
    },
  );

  decides('a start with rules that cannot be obeyed fails, with file and line', async () => {
    const proxy = await startProxy({
      databases: [databaseOf(server)],
      users: USERS,
      general: { auth_type: 'hba', auth_hba_file: 'rules' },
      files: { rules: '# x\nhost all all all ldap\n' },
      isUnready: true,
    });
    assert.equal(await proxy.exited, 2);
    assert.match(proxy.output, /rules:2: method "ldap" is not supported/);
  });

  decides(
    'failures of one user are refused unread after auth_failures_max, others go on, time makes room',
    async () => {
      // Room for one comes every three seconds.
      const general = { auth_failures_max: 5, auth_failures_window: 15_000 };
      await withProxy({ general }, async (proxy) => {
        for (let time = 0; time < 5; time++) {
          assert.equal((await tryLogin(proxy, 'clear', 'wrong')).sqlstate, '28P01');
        }
        const { asked, sqlstate, message } = await tryLogin(proxy, 'clear', CLEAR);
        assert.deepEqual([asked, sqlstate], [[], '28000']);
        assert.match(message, /auth_failures_max = 5 in 15000 ms/);
        const other = await tryLogin(proxy, 'verified', VERIFIED);
        assert.equal(other.sqlstate, '');
        other.client.destroy();
        // Strangers are counted just the same: the refusal does not tell who exists.
        for (let time = 0; time < 5; time++) await tryLogin(proxy, 'stranger', 'wrong');
        assert.equal((await tryLogin(proxy, 'stranger', 'wrong')).sqlstate, '28000');
        await eventually(
          'there is room',
          async () => (await tryLogin(proxy, 'clear', CLEAR)).sqlstate === '',
        );
      });
    },
  );

  decides('a storm of refusals is logged in part and counted in whole', async () => {
    await withProxy({ general: { auth_failures_max: 0 } }, async (proxy) => {
      const attempt = async (): Promise<void> => {
        assert.equal((await tryLogin(proxy, 'stranger', 'wrong')).sqlstate, '28P01');
      };
      // As many as it takes for some of a second to be counted only.
      let total = 0;
      do {
        await Promise.all(Array.from({ length: 20 }, attempt));
        total += 20;
      } while (total < 160 || (total < 5000 && !proxy.output.includes('more logins were refused')));
      const linesOf = (text: string): string[] =>
        proxy.output.split('\n').filter((line) => line.includes(text));
      const logged = () => linesOf('authentication failed for user').length;
      const told = () =>
        linesOf('more logins were refused')
          .map((line) => Number(/(\d+) more logins/.exec(line)?.[1]))
          .reduce((sum, count) => sum + count, logged());
      await eventually('all are told of or counted', async () => told() >= total);
      assert.equal(told(), total);
      assert.ok(logged() >= 50 && logged() < total, `${logged()} lines for ${total}`);
    });
  });

  decides(
    'failures are counted when the answer comes too: connections opened before do not get more guesses',
    async () => {
      const general = { auth_type: 'md5', auth_failures_max: 3, auth_failures_window: 60_000 };
      await withProxy({ general }, async (proxy) => {
        const clients = await Promise.all(
          Array.from({ length: 10 }, () => RawClient.open({ port: proxy.port, user: 'clear' })),
        );
        const { startupPacket } = await import('../support/frames.js');
        for (const client of clients) {
          client.send(startupPacket({ user: 'clear', database: 'postgres' }));
          assert.equal((await client.readFrame()).type, 'R');
        }
        const codes: string[] = [];
        for (const client of clients) {
          client.send(p(text('md5wrong')));
          const { error } = await client.expectClosed();
          codes.push(error?.['C'] ?? '');
          client.destroy();
        }
        assert.deepEqual(codes, [...Array(3).fill('28P01'), ...Array(7).fill('28000')]);
      });
    },
  );
});
