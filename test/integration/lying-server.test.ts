/** Servers that lie while we log in: nothing they send costs more than its bytes, and the client is told in time. */
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import {
  type FakeConnection,
  type FakePostgres,
  type FakePostgresOptions,
  startFakePostgres,
} from '../support/fake-postgres.js';
import { backend, type Frame, frame, int32, text } from '../support/frames.js';
import { tryLogin } from '../support/login.js';
import { PATIENCE_MS } from '../support/patience.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';

const PASSWORD = secret('what the lying server wants');
const SASL = (...mechanisms: string[]): Buffer =>
  backend.authentication(10, ...mechanisms.map(text), Buffer.from([0]));
const CHALLENGE = (words: string): Buffer => backend.authentication(11, Buffer.from(words, 'latin1'));
const FINAL = (words: string): Buffer => backend.authentication(12, Buffer.from(words, 'latin1'));
const WELCOME = [
  backend.authentication(0),
  backend.parameterStatus('server_version', '18.0'),
  backend.keyData(1, Buffer.alloc(4)),
  backend.ready(),
];

/** The nonce in our SASLInitialResponse. */
function nonceOf({ body }: Frame): string {
  const words = body.toString('latin1');
  return words.slice(words.lastIndexOf('r=') + 2);
}

forEachDriver('a lying server', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    names: readonly string[],
    script: Partial<FakePostgresOptions>,
    body: (proxy: TestProxy, fake: FakePostgres) => Promise<void>,
  ): Promise<void> {
    const fake = await startFakePostgres(script);
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: names.map((name) => ({ ...databaseOf(fake), name, database_name: name })),
      users: [{ name: 'postgres', password: PASSWORD }],
      general: {
        min_pool_size: 0,
        checkout_timeout: 4_000,
        connect_timeout: 2_000,
        auth_failures_max: 0,
        log_level: 'trace',
      },
    });
    try {
      await body(proxy, fake);
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  }

  interface Case {
    name: string;
    /** Instead of the server's first words. */
    opening: (connection: FakeConnection) => void;
    onFrame?: (connection: FakeConnection, got: Frame) => void | Promise<void>;
    check: (sqlstate: string, message: string) => void;
  }

  /** Each case has a database, hence a pool, of its own: a refusal is remembered for a second. All at once. */
  async function runCases(cases: readonly Case[]): Promise<void> {
    const caseOf = ({ startup }: FakeConnection): Case => cases[Number(startup.database)]!;
    const names = cases.map((_, index) => String(index));
    const script: Partial<FakePostgresOptions> = {
      onStartup: (connection) => caseOf(connection).opening(connection),
      onFrame: (connection, got) => (caseOf(connection).onFrame ?? (() => undefined))(connection, got),
    };
    await withProxy(names, script, async (proxy) => {
      await Promise.all(
        cases.map(async ({ name, check }, index) => {
          const { sqlstate, message, client } = await tryLogin(proxy, 'postgres', PASSWORD, {
            database: String(index),
          });
          client.destroy();
          check(sqlstate, `${name}: ${message}`);
        }),
      );
    });
  }

  const offer = (connection: FakeConnection): void => connection.send(SASL('SCRAM-SHA-256'));

  const challenges: [name: string, words: (nonce: string) => string, message: RegExp][] = [
    ['a nonce of 64 KB', (n) => `r=${n}${'x'.repeat(60_000)},s=AAAA,i=1`, /too long/],
    ['a nonce of 2 KB', (n) => `r=${n}${'x'.repeat(2_000)},s=AAAA,i=1`, /invalid SCRAM nonce/],
    ['our own nonce', (n) => `r=${n},s=AAAA,i=1`, /nonce is not ours/],
    ['another nonce', () => 'r=abc,s=AAAA,i=1', /nonce is not ours/],
    ['no salt', (n) => `r=${n}x,s=,i=1`, /invalid SCRAM salt/],
    ['a salt that is none', (n) => `r=${n}x,s=%%%%,i=1`, /invalid SCRAM salt/],
    ['a salt of 2 KB', (n) => `r=${n}x,s=${'AAAA'.repeat(700)},i=1`, /invalid SCRAM salt/],
    ['iterations of 10^9', (n) => `r=${n}x,s=AAAA,i=1000000000`, /iteration count is not in 1\.\.100000/],
    ['iterations beyond 2^32', (n) => `r=${n}x,s=AAAA,i=4294967297`, /iteration count/],
    ['no iterations', (n) => `r=${n}x,s=AAAA,i=0`, /iteration count/],
    ['missing fields', (n) => `r=${n}x`, /invalid SCRAM salt/],
    ['nothing', () => '', /invalid SCRAM nonce/],
    ['only commas', () => ','.repeat(4_000), /invalid SCRAM nonce/],
    ['no text', () => '\xff\xff\0', /not text/],
  ];
  it('SCRAM challenges: each is refused by name, at once', async () => {
    await runCases(
      challenges.map(([name, words, message]) => ({
        name,
        opening: offer,
        onFrame: (connection, got) => connection.send(CHALLENGE(words(nonceOf(got)))),
        check: (sqlstate, text) => {
          assert.equal(sqlstate, '58000', text);
          assert.match(text, message);
        },
      })),
    );
  });

  decides('a server that does not know the password is not believed', async () => {
    const endings: [name: string, frames: Buffer[], message: RegExp][] = [
      ['welcome without proof', WELCOME, /ended without proof/],
      ['a wrong signature', [FINAL(`v=${Buffer.alloc(32).toString('base64')}`), ...WELCOME], /does not know/],
      ['a signature of one byte', [FINAL('v=AA=='), ...WELCOME], /does not know/],
      ['an error instead', [FINAL('e=other-error'), ...WELCOME], /refused the proof/],
      ['an empty final', [FINAL(''), ...WELCOME], /does not know/],
      ['a second challenge', [CHALLENGE('r=x,s=AAAA,i=1')], /unexpected SASL message/],
    ];
    await runCases(
      endings.map(([name, frames, message]) => ({
        name,
        opening: offer,
        onFrame: (connection, got) => {
          if (connection.frames.length === 1) connection.send(CHALLENGE(`r=${nonceOf(got)}x,s=AAAA,i=4`));
          else connection.send(...frames);
        },
        check: (sqlstate, text) => {
          assert.notEqual(sqlstate, '', text);
          assert.match(text, message);
        },
      })),
    );
  });

  decides('demands that nobody can meet, in a row, or out of place', async () => {
    const openings: [name: string, frames: Buffer[], message: RegExp][] = [
      ['Kerberos', [backend.authentication(2)], /not supported \(code 2/],
      ['GSSAPI', [backend.authentication(7)], /not supported \(code 7/],
      [
        'an unknown code',
        [backend.authentication(99, Buffer.alloc(9_000, 'x'))],
        /not supported \(code 99: x{64}\)/,
      ],
      ['PLUS alone, without TLS', [SASL('SCRAM-SHA-256-PLUS')], /not supported/],
      ['another mechanism', [SASL('OAUTHBEARER')], /not supported/],
      ['no mechanism', [backend.authentication(10, Buffer.from([0]))], /not supported/],
      ['mechanisms without an end', [backend.authentication(10, Buffer.from('SCRAM'))], /malformed/],
      ['half a code', [frame('R', Buffer.alloc(2))], /malformed/],
      ['a salt of three bytes', [backend.authentication(5, Buffer.alloc(3))], /malformed/],
      ['a challenge before the offer', [CHALLENGE('r=x')], /not begun/],
      ['a final before the offer', [FINAL('v=x')], /not begun/],
      ['two demands', [backend.authentication(3), backend.authentication(3)], /second demand/],
      [
        'md5 after an offer',
        [SASL('SCRAM-SHA-256'), backend.authentication(5, Buffer.alloc(4))],
        /second demand/,
      ],
      [
        'a demand after the welcome',
        [backend.authentication(0), backend.authentication(3)],
        /unexpected message/,
      ],
      ['parameters before the welcome', [backend.parameterStatus('a', 'b')], /unexpected message/],
      ['a row', [backend.dataRow(['x'])], /unexpected message/],
      ['a length of 2^31', [Buffer.concat([Buffer.from('R'), int32(0x80000000)])], /invalid message length/],
      ['a length of 1 GB', [Buffer.concat([Buffer.from('R'), int32(0x3fffffff)])], /unexpected message/],
      ['ready in a transaction', [backend.authentication(0), backend.ready('T')], /not idle/],
    ];
    await runCases(
      openings.map(([name, frames, message]) => ({
        name,
        opening: (connection) => connection.send(...frames),
        check: (_sqlstate, text) => assert.match(text, message),
      })),
    );
  });

  it('errors without fields, twice, without an end', async () => {
    const errors: [name: string, body: Buffer][] = [
      ['no fields', Buffer.from([0])],
      ['nothing at all', Buffer.alloc(0)],
      ['no end', Buffer.from('SFATAL\0C28P01\0Mno')],
      ['no code', Buffer.from('SFATAL\0Mno\0\0')],
      ['code twice', Buffer.from('C28P01\0C57P03\0Mno\0Mnever\0\0')],
      ['a code of nothing', Buffer.from('C\0M\0\0')],
      ['60 KB of text', Buffer.from(`SFATAL\0C28000\0M${'x'.repeat(60_000)}\0\0`)],
    ];
    await runCases(
      errors.map(([name, body]) => ({
        name,
        opening: (connection) => {
          connection.send(frame('E', body));
          connection.close();
        },
        check: (sqlstate, text) => assert.equal(sqlstate.length, 5, text),
      })),
    );
  });

  it('slow keys do not hold up others: iterations at the limit beside running clients', async () => {
    await withProxy(['postgres'], {}, async (proxy, fake) => {
      const { client } = await tryLogin(proxy, 'postgres', PASSWORD);
      await client.query('BEGIN');
      // Answers to the running client, all in all, when each challenge was sent, and between a challenge and its proof.
      let answered = 0;
      const answeredAt = new Map<number, number>();
      const meanwhile: number[] = [];
      // From now on new connections cost 100,000 iterations each, a new salt every time.
      fake.script({
        onStartup: (connection) => connection.send(SASL('SCRAM-SHA-256')),
        onFrame: (connection, got) => {
          if (got.type !== 'p')
            return import('../support/fake-postgres.js').then(({ answer }) => answer(connection, got));
          if (connection.frames.length > 1) {
            meanwhile.push(answered - (answeredAt.get(connection.index) ?? answered));
            return undefined;
          }
          const salt = createHash('sha256').update(String(connection.index)).digest('base64');
          answeredAt.set(connection.index, answered);
          connection.send(CHALLENGE(`r=${nonceOf(got)}x,s=${salt},i=100000`));
          return undefined;
        },
      });
      const others = await Promise.all(
        Array.from({ length: 8 }, () => tryLogin(proxy, 'postgres', PASSWORD)),
      );
      const waiting = others.map((other) => other.client.query('SELECT 1', 10_000));
      const endMs = performance.now() + PATIENCE_MS;
      while (meanwhile.length < 2 && performance.now() < endMs) {
        assert.equal((await client.query('SELECT 1')).error, null);
        answered++;
      }
      // A derivation in the loop would let through what was under way, and no more.
      assert.ok(Math.max(...meanwhile) > 3, `${meanwhile} answers while a key was made`);
      client.destroy();
      for (const { client: other } of others) other.destroy();
      await Promise.allSettled(waiting);
    });
  });

  decides('an honest server with a salt and count of its own is logged in to', async () => {
    await withProxy(['postgres'], {}, async (proxy, fake) => {
      let first = '';
      fake.script({
        onStartup: (connection) => connection.send(SASL('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256')),
        onFrame: (connection, got) => {
          if (got.type !== 'p')
            return import('../support/fake-postgres.js').then(({ answer }) => answer(connection, got));
          const words = got.body.toString('latin1');
          if (connection.frames.length === 1) {
            first = `r=${nonceOf(got)}srv,s=${Buffer.alloc(9, 7).toString('base64')},i=100`;
            connection.send(CHALLENGE(first));
            return undefined;
          }
          const bare = `n=,r=${first.slice(2, first.indexOf('srv,'))}`;
          const message = `${bare},${first},${words.slice(0, words.indexOf(',p='))}`;
          const salted = pbkdf2Sync(PASSWORD, Buffer.alloc(9, 7), 100, 32, 'sha256');
          const key = createHmac('sha256', salted).update('Server Key').digest();
          const signature = createHmac('sha256', key).update(message).digest('base64');
          connection.send(FINAL(`v=${signature}`), ...WELCOME);
          return undefined;
        },
      });
      const { client, sqlstate } = await tryLogin(proxy, 'postgres', PASSWORD);
      assert.equal(sqlstate, '');
      client.destroy();
    });
  });
});
