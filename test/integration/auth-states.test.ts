/** Messages that must not come while a client logs in: each type in each state ends the connection, and nothing else. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import * as frames from '../support/frames.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient, type RawResult } from '../support/raw-client.js';

const { frame, int32, p, startupPacket, text } = frames;
const START = startupPacket({ user: 'postgres', database: 'postgres' });
const FIRST = 'n,,n=,r=abcdefghijklmnop';
const initial = (data = FIRST, mechanism = 'SCRAM-SHA-256', length = Buffer.byteLength(data)): Buffer =>
  p(text(mechanism), int32(length), Buffer.from(data));

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** Where a login can stand, by the messages that lead there (each answered by one frame). */
const STATES: [state: string, type: string, steps: Buffer[]][] = [
  ['md5 demanded', 'md5', [START]],
  ['password in clear demanded', 'plain', [START]],
  ['SASL mechanisms offered', 'scram', [START]],
  ['SCRAM challenged', 'scram', [START, initial()]],
  ['SCRAM challenged, no data at first', 'scram', [START, initial('', 'SCRAM-SHA-256', -1)]],
];

/** What no client may say then. */
const WRONG: [name: string, message: Buffer][] = [
  ['a second StartupMessage', START],
  ['a StartupMessage of another user', startupPacket({ user: 'admin', database: 'admin' })],
  ['SSLRequest', Buffer.concat([int32(8), int32(80877103)])],
  ['GSSENCRequest', Buffer.concat([int32(8), int32(80877104)])],
  ['CancelRequest', frames.cancelRequest(1, Buffer.alloc(4))],
  ['Query', frames.Q('SELECT 1')],
  ['Parse', frames.P('', 'SELECT 1')],
  ['Bind', frames.B('', '')],
  ['Describe', frames.D('S', '')],
  ['Execute', frames.E('')],
  ['Sync', frames.S()],
  ['Flush', frames.H()],
  ['Terminate', frames.X()],
  ['CopyData', frames.d('x')],
  ['CopyDone', frames.c()],
  ['FunctionCall', frames.F(1, [])],
  ['an unknown type', frame('?')],
  ['type 0', frame('\0')],
  ...[-1, 0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff].map((length): [string, Buffer] => [
    `a password of length ${length}`,
    Buffer.concat([Buffer.from('p'), int32(length), Buffer.alloc(16)]),
  ]),
  ['a password of 70,000 bytes', Buffer.concat([Buffer.from('p'), int32(70_000), Buffer.alloc(16)])],
];

/** Ends with one FATAL at most and no ReadyForQuery. */
function assertRefused({ frames: got, error }: RawResult, sqlstates: string[], what: string): void {
  assert.equal(
    got.some(({ type }) => type === 'Z'),
    false,
    what,
  );
  assert.equal(error?.['S'] ?? 'FATAL', 'FATAL', what);
  assert.ok(sqlstates.includes(error?.['C'] ?? ''), `${what}: ${JSON.stringify(error)}`);
}

forEachDriver('states of a login', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(type: string, body: (proxy: TestProxy) => Promise<void>): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server)],
      users: [{ name: 'postgres', password: 'postgres', database: 'postgres' }],
      general: { auth_type: type, plain_auth_without_tls: true, min_pool_size: 0, auth_failures_max: 0 },
    });
    try {
      await body(proxy);
      assert.equal(await enter(proxy, 'postgres', 'postgres'), '', 'the proxy goes on');
    } finally {
      await proxy.stop();
    }
  }

  /** Brings a client into a state. */
  async function standing(proxy: TestProxy, steps: Buffer[]): Promise<RawClient> {
    const client = await RawClient.open({ port: proxy.port });
    for (const step of steps) {
      client.send(step);
      assert.equal((await client.readFrame()).type, 'R');
    }
    return client;
  }

  for (const [state, type, steps] of STATES) {
    const test = state === 'SCRAM challenged' ? it : decides;
    test(`${state}: everything but the answer ends the connection`, async () => {
      await withProxy(type, async (proxy) => {
        for (const [name, message] of WRONG) {
          const client = await standing(proxy, steps);
          client.send(message);
          assertRefused(await client.expectClosed(), ['08P01'], name);
          client.destroy();
        }
      });
    });
  }

  decides('a message beside the right one is one too many', async () => {
    await withProxy('scram', async (proxy) => {
      const client = await standing(proxy, [START]);
      client.send(initial(), frames.Q('SELECT 1'));
      assertRefused(await client.expectClosed(), ['08P01'], 'Query behind SASLInitialResponse');
      client.destroy();
    });
    await withProxy('md5', async (proxy) => {
      const client = await standing(proxy, [START]);
      client.send(p(text('md5x')), p(text('md5y')));
      const { error, frames: got } = await client.expectClosed();
      assert.equal(error?.['C'], '28P01');
      assert.equal(got.filter(({ type }) => type === 'E').length, 1);
      client.destroy();
    });
  });

  decides('an unknown database or user changes nothing of that', async () => {
    await withProxy('scram', async (proxy) => {
      for (const who of [
        { user: 'postgres', database: 'nowhere' },
        { user: 'nobody', database: 'postgres' },
        { user: 'nobody', database: 'admin' },
      ]) {
        const client = await standing(proxy, [startupPacket(who), initial()]);
        client.send(START);
        assertRefused(await client.expectClosed(), ['08P01'], JSON.stringify(who));
        client.destroy();
      }
    });
  });

  decides('SASL lengths that do not fit, mechanisms that were not offered, data that is none', async () => {
    await withProxy('scram', async (proxy) => {
      const answers: [string, Buffer][] = [
        ...[-2, -1, 0, 1, FIRST.length - 1, FIRST.length + 1, 1024, 0x7fffffff, 0x80000000, 0xfffffffe].map(
          (length): [string, Buffer] => [`length ${length}`, initial(FIRST, 'SCRAM-SHA-256', length)],
        ),
        ['no length', p(text('SCRAM-SHA-256'))],
        ['half a length', p(text('SCRAM-SHA-256'), Buffer.alloc(2))],
        ['no end of the name', p(Buffer.from('SCRAM-SHA-256'))],
        ['nothing', p()],
        ['PLUS without TLS', initial('p=tls-server-end-point,,n=,r=abc', 'SCRAM-SHA-256-PLUS')],
        ['binding without TLS', initial('p=tls-server-end-point,,n=,r=abc')],
        ['another mechanism', initial(FIRST, 'PLAIN')],
        ['a long mechanism', initial(FIRST, 'S'.repeat(1500))],
        ['a long nonce', initial(`n,,n=,r=${'a'.repeat(1020)}`)],
        ['a very long nonce', initial(`n,,n=,r=${'a'.repeat(65_000)}`)],
        ['no text', initial('\xff\xfe')],
      ];
      for (const [name, message] of answers) {
        const client = await standing(proxy, [START]);
        client.send(message);
        assertRefused(await client.expectClosed(), ['08P01'], name);
        client.destroy();
      }
    });
  });

  decides('long names in every field of the start-up packet, under each method', async () => {
    for (const type of ['scram', 'md5', 'plain', 'trust']) {
      await withProxy(type, async (proxy) => {
        for (const length of [63, 64, 1000, 9_000]) {
          const name = 'n'.repeat(length);
          const attempts: [user: string, database: string, extra: Record<string, string>][] = [
            [name, 'postgres', {}],
            ['postgres', name, {}],
            ['postgres', 'postgres', { application_name: name }],
            ['postgres', 'postgres', { options: `-c x=${name}` }],
            ['postgres', 'postgres', { [name]: 'x' }],
          ];
          for (const [user, database, extra] of attempts) {
            const { sqlstate, client } = await tryLogin(proxy, user, 'postgres', {
              database,
              parameters: extra,
            });
            // Let in with a long application_name; all others refused, by whatever fits.
            assert.ok(sqlstate.length === 5 || 'application_name' in extra, `${sqlstate} ${length}`);
            client.destroy();
          }
        }
      });
    }
  });
});
