/** Bytes that break the rules, from both sides: they cost one connection and nothing else. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { answer, type FakeConnection, startFakePostgres } from '../support/fake-postgres.js';
import {
  B,
  backend,
  C,
  c,
  D,
  d,
  E,
  F,
  frame,
  H,
  int16,
  int32,
  P,
  p,
  Q,
  S,
  startupPacket,
  text,
} from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  clientOf,
  eventually,
  firstValue,
  pairs,
  run,
  sleep,
  sqlstateOf,
  startWireProxy,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

const header = (type: string, length: number): Buffer => Buffer.concat([Buffer.from(type), int32(length)]);
const untyped = (code: number, ...rest: Buffer[]): Buffer => {
  const body = Buffer.concat([int32(code), ...rest]);
  return Buffer.concat([int32(body.length + 4), body]);
};
const LENGTHS = [0, 1, 3, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff];
const garbage = (count: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, n) => (seed * 31 + n * n * 7 + (n >> 3)) & 0xff));
const V3 = 196608;
const LOGIN = startupPacket({ user: 'postgres', database: 'postgres' });

/** Before the login has ended. */
const AT_STARTUP: Record<string, Buffer> = {
  'nothing but zeros': Buffer.alloc(100),
  garbage: garbage(2000, 1),
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  'a TLS hello': Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...new Array<number>(500).fill(9)]),
  'a packet of no length': int32(4),
  'a startup packet without its final zero': Buffer.concat([
    int32(8 + 14),
    int32(V3),
    text('user'),
    text('postgres'),
  ]),
  'a startup packet with a name and no value': untyped(V3, text('user'), Buffer.from([0])),
  'no user': untyped(V3, pairs('database', 'postgres')),
  'an empty user': untyped(V3, pairs('user', '')),
  'a name of 9 KB': untyped(V3, pairs('user', 'u'.repeat(9000))),
  'bytes that are no UTF-8': untyped(V3, Buffer.from([0x75, 0x73, 0x65, 0x72, 0, 0xff, 0xfe, 0x80, 0, 0])),
  'a thousand parameters': untyped(
    V3,
    pairs('user', 'postgres', ...Array.from({ length: 800 }, (_, n) => `p${n}`)),
  ),
  'two startup packets': Buffer.concat([LOGIN, LOGIN]),
  'bytes behind an SSLRequest': Buffer.concat([int32(8), int32(80877103), LOGIN]),
  'bytes behind a GSSENCRequest': Buffer.concat([int32(8), int32(80877104), Q('SELECT 1')]),
  'SSLRequest without end': Buffer.concat(
    Array.from({ length: 50 }, () => Buffer.concat([int32(8), int32(80877103)])),
  ),
  'a CancelRequest without a secret': untyped(80877102, int32(1)),
  'a CancelRequest of 9 KB': untyped(80877102, int32(1), Buffer.alloc(9000)),
  'a CancelRequest for nobody': untyped(80877102, int32(0xffffffff), int32(0)),
  'a query instead of a password': Buffer.concat([LOGIN, Q('SELECT 1')]),
  'a password of 64 KB': Buffer.concat([LOGIN, p(text('x'.repeat(65_600)))]),
  'a SASL answer of nothing': Buffer.concat([LOGIN, p()]),
  'a SASL answer with a wrong inner length': Buffer.concat([
    LOGIN,
    p(text('SCRAM-SHA-256'), int32(0x7fffffff), Buffer.from('n,,')),
  ]),
  'an unknown SASL mechanism': Buffer.concat([LOGIN, p(text('SCRAM-MD5'), int32(3), Buffer.from('n,,'))]),
  'passwords without end': Buffer.concat([LOGIN, ...Array.from({ length: 100 }, () => p(text('x')))]),
};
for (const length of LENGTHS.concat([10_001, 0x10000]))
  AT_STARTUP[`a packet length of ${length}`] = Buffer.concat([int32(length), int32(V3)]);

/** What is right so far: more is waited for. */
const MAY_BE_MORE = new Set(['a name of 9 KB', 'a thousand parameters', 'a packet length of 10001']);

/** After it. */
const WHEN_READY: Record<string, Buffer> = {
  garbage: garbage(5000, 7),
  zeros: Buffer.alloc(64),
  'a startup packet': LOGIN,
  'a password': p(text('x')),
  'backend messages': Buffer.concat([backend.ready(), backend.dataRow(['x'])]),
  'a Query without its zero': frame('Q', Buffer.from('SELECT 1')),
  'an empty Query body': frame('Q'),
  'a Sync with a body': frame('S', Buffer.from('body')),
  'a Flush with a body': frame('H', Buffer.from('body')),
  'a Parse without anything': frame('P'),
  'a Parse whose type count lies': frame('P', text(''), text('SELECT 1'), int16(500)),
  'a Parse without its text': frame('P', text('name')),
  'a Bind without anything': frame('B'),
  'a Bind whose value count lies': frame('B', text(''), text(''), int16(0), int16(5), int32(4)),
  'a Bind whose value length lies': frame(
    'B',
    text(''),
    text(''),
    int16(0),
    int16(1),
    int32(0x7fffffff),
    int16(0),
  ),
  'a Bind of 64 KB of name': frame('B', text(''), Buffer.alloc(66_000, 0x61)),
  'a Describe of neither': frame('D', Buffer.from('Q'), text('')),
  'a Close of neither': frame('C', Buffer.from('\0'), text('')),
  'a Describe without its zero': frame('D', Buffer.from('Sname')),
  'an Execute without its limit': frame('E', text('')),
  'a function call of nothing': frame('F'),
  'a function call that lies': frame('F', int32(1), int16(100), int16(0)),
  'a CopyFail without its zero': frame('f', Buffer.from('x')),
  'an unknown type': frame('!', text('x')),
};
for (const length of LENGTHS) {
  for (const type of ['Q', 'P', 'S', 'd', 'X'])
    WHEN_READY[`a length of ${length} for ${type}`] = header(type, length);
}

const ON_EACH_DRIVER = new Set([
  'garbage',
  'zeros',
  'a Query without its zero',
  'an unknown type',
  'a length of 1073741824 for Q',
]);

/** Where a logged-in client may be when it starts to misbehave. */
const PLACES: Record<string, (client: RawClient) => Promise<unknown>> = {
  'between requests': async () => undefined,
  'in a transaction': (client) => run(client, 'BEGIN', "INSERT INTO sink VALUES ('never')"),
  'in a failed transaction': async (client) => {
    await run(client, 'BEGIN');
    await client.query('SELECT 1/0');
  },
  'in a batch': async (client) => client.send(P('', 'SELECT 1'), B('', '')),
  'behind an error in a batch': async (client) => {
    client.send(P('', 'SELECT 1/0 FROM nowhere'), H());
    await client.readUntil('E');
  },
  'in COPY in': async (client) => {
    client.send(Q('COPY sink FROM STDIN'), d('never\n'));
    await client.readUntil('G');
  },
  'while a statement runs': async (client) => client.send(Q('SELECT pg_sleep(0.02)')),
};

forEachDriver('hostile clients', (driver) => {
  let proxy: TestProxy;
  let control: RawClient;
  before(async () => {
    proxy = await startWireProxy(server, driver, {
      // One server connection: whatever a hostile client leaves on it is met by the control client at once.
      database: { pool_size: 1 },
      general: { rollback_timeout: 1000, client_login_timeout: 4000 },
    });
    control = await clientOf(proxy);
  });
  after(async () => {
    await control.end();
    await proxy.stop();
  });
  /** The same control client all along: one worker serves it and the hostile ones. */
  afterEach(async () => {
    assert.equal(await firstValue(control, 'SELECT count(*) FROM sink'), '0');
    assert.equal(proxy.output.includes('worker_crashed'), false, proxy.output);
  });

  const isClosedAtStartup = async (bytes: Buffer): Promise<void> => {
    const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
    client.send(bytes);
    await client.expectClosed().finally(() => client.destroy());
  };
  for (const [name, bytes] of Object.entries(AT_STARTUP)) {
    if (!MAY_BE_MORE.has(name)) it(`at start-up: ${name}`, () => isClosedAtStartup(bytes));
  }
  it(`at start-up, until client_login_timeout: ${[...MAY_BE_MORE].join(', ')}`, async () => {
    await Promise.all([...MAY_BE_MORE].map((name) => isClosedAtStartup(AT_STARTUP[name] as Buffer)));
  });

  it('start-up packets that never end, byte by byte, a hundred at once', async () => {
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => RawClient.open({ port: proxy.port })),
    );
    for (const byte of LOGIN.subarray(0, 12)) {
      for (const client of clients) client.send(Buffer.from([byte]));
      assert.equal(await firstValue(control, 'SELECT 1'), '1');
    }
    for (const [index, client] of clients.entries()) client.destroy(index % 2 === 0);
  });

  const decides = decisionsOn(driver);
  for (const [name, bytes] of Object.entries(WHEN_READY)) {
    // How they come is the driver's matter, what they mean is not.
    const each = ON_EACH_DRIVER.has(name) ? it : decides;
    void each(`a logged-in client sends ${name}, in every place`, async () => {
      for (const [place, reach] of Object.entries(PLACES)) {
        const client = await clientOf(proxy);
        await reach(client);
        client.send(bytes);
        // What is a legal beginning waits for more: then it is the client that goes.
        await Promise.race([client.expectClosed(2000).catch(() => undefined), sleep(20)]);
        client.destroy();
        assert.equal(await firstValue(control, 'SELECT 1'), '1', place);
      }
    });
  }

  it('names of 9 KB are names (Postgres bears 10,000 bytes in a Describe)', async () => {
    const client = await clientOf(proxy);
    const name = 'n'.repeat(9_000);
    client.send(P(name, 'SELECT 1'), B(name, name), D('P', name), E(name), C('P', name), C('S', name), S());
    const result = await client.readUntilReady();
    assert.deepEqual(result.rows, [['1']], JSON.stringify(result.error));
    await client.end();
  });

  it('messages in the wrong phase that Postgres bears, are borne', async () => {
    const client = await clientOf(proxy);
    client.send(d('x'), c(), S(), H(), F(0xfffffff, []));
    const result = await client.readUntilReady(2);
    assert.notEqual(sqlstateOf(result), '');
    assert.equal(await firstValue(client, 'SELECT 1'), '1');
    await client.end();
  });
});

type Lie = (connection: FakeConnection) => void;
/** What a lying server says instead of the answer to SELECT. */
const LIES: Record<string, Lie> = {
  'an unknown type': (it) => it.send(frame('!', text('x'))),
  'a frontend message': (it) => it.send(Q('SELECT 1')),
  garbage: (it) => it.send(garbage(3000, 3)),
  'a huge length': (it) => it.send(header('D', 0x7fffffff), Buffer.alloc(100)),
  'a zero length': (it) => it.send(header('C', 0)),
  'a negative length': (it) => it.send(header('T', 0xffffffff)),
  'a row nobody described, then the end': (it) => it.send(backend.dataRow(['x']), frame('Z')),
  'an error without fields': (it) => it.send(frame('E'), backend.ready()),
  'an error with an unterminated field': (it) => it.send(frame('E', Buffer.from('Mxx')), backend.ready()),
  'ReadyForQuery twice': (it) => it.send(backend.complete('SELECT 0'), backend.ready(), backend.ready()),
  'ReadyForQuery with a status that is none': (it) =>
    it.send(backend.complete('SELECT 0'), frame('Z', Buffer.from('?'))),
  'BindComplete to a Query': (it) => it.send(backend.bindComplete(), backend.ready()),
  'an authentication request': (it) => it.send(backend.authentication(3)),
  'half a row, then the end': (it) => {
    it.send(backend.dataRow(['x'.repeat(1000)]).subarray(0, 500));
    it.close();
  },
  'half a row, then a reset': (it) => {
    it.send(backend.dataRow(['x'.repeat(1000)]).subarray(0, 500));
    it.reset();
  },
  'nothing, and closes': (it) => it.close(),
  'a copy that nobody wanted': (it) =>
    it.send(
      frame('H', Buffer.from([0]), int16(0)),
      frame('Z', Buffer.from('I')),
      frame('G', Buffer.from([0]), int16(0)),
    ),
  'a ParameterStatus without end': (it) =>
    it.send(frame('S', Buffer.from('name')), backend.complete('SELECT 0'), backend.ready()),
  'a FATAL and stays': (it) => it.send(backend.error('57P01', 'bye', 'FATAL')),
};

forEachDriver('lying servers', (driver) => {
  it('cost the client that was served, and nobody else', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, {
      database: { pool_size: 3 },
      general: { query_timeout: 15_000 },
    });
    const control = await clientOf(proxy);
    try {
      for (const [name, lie] of Object.entries(LIES)) {
        fake.script({
          onFrame: (connection, got) =>
            got.type === 'Q' && got.body.includes('lie to me') ? lie(connection) : answer(connection, got),
        });
        const victim = await clientOf(proxy);
        victim.send(Q('SELECT lie to me'));
        await Promise.race([victim.expectClosed(3000).catch(() => undefined), sleep(80)]);
        victim.destroy();
        for (let round = 0; round < 4; round++) {
          const { rows, error } = await control.query(`SELECT control ${round}`);
          assert.deepEqual(rows, [[`SELECT control ${round}`]], `after ${name}: ${JSON.stringify(error)}`);
        }
      }
    } finally {
      await control.end();
      await proxy.stop();
      await fake.stop();
    }
  });

  it('unasked words while idle retire the connection', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, { database: { pool_size: 2 } });
    try {
      const client = await clientOf(proxy);
      const words: Lie[] = [
        (it) => it.send(backend.ready()),
        (it) => it.send(backend.dataRow(['x'])),
        (it) => it.send(garbage(50, 5)),
      ];
      for (const say of words) {
        await client.query('SELECT 1');
        const open = fake.connections.filter(({ socket }) => !socket.destroyed);
        for (const connection of open) say(connection);
        // What it says may not be there when the next statement is sent: then it would be taken for the answer.
        await eventually('they are let go', async () => open.every(({ socket }) => socket.destroyed));
        assert.deepEqual((await client.query('SELECT 2')).rows, [['SELECT 2']]);
      }
      await client.end();
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });

  const AT_LOGIN: Record<string, Lie> = {
    'an error without fields': (it) => it.send(frame('E')),
    garbage: (it) => it.send(garbage(200, 9)),
    'ReadyForQuery at once': (it) => it.send(backend.ready()),
    'an authentication nobody knows': (it) => it.send(backend.authentication(99)),
    'a short authentication request': (it) => it.send(frame('R', Buffer.from([0]))),
    'a huge frame': (it) => it.send(header('S', 0x3fffffff)),
    'a login in a transaction': (it) => it.send(backend.authentication(0), backend.ready('T')),
    'a SASL demand without mechanisms': (it) => it.send(backend.authentication(10, Buffer.from([0]))),
    'a SASL success out of the blue': (it) => it.send(backend.authentication(12, Buffer.from('v=x'))),
    close: (it) => it.close(),
  };
  it('that misbehave at login are tried again, and clients told', async () => {
    const fake = await startFakePostgres();
    const proxy = await startWireProxy(fake, driver, {
      general: { checkout_timeout: 250, connect_timeout: 200 },
    });
    try {
      for (const [name, lie] of Object.entries(AT_LOGIN)) {
        fake.script({ onStartup: lie });
        const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const { error } = await client.login();
        assert.notEqual(error, null, name);
        client.destroy();
      }
      const { onStartup: _, ...honest } = { onStartup: undefined };
      fake.script({ ...honest, onStartup: undefined as never });
      await eventually('served again', async () => {
        const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const { error } = await client.login();
        client.destroy();
        return error === null;
      });
    } finally {
      await proxy.stop();
      await fake.stop();
    }
  });
});
