// The tests' own tools, tested: a raw client and a fake server that are wrong would hide what they should show.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ServerAuth } from 'pgdog-cluster/demo/postgres-server';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { everySplit, sendInPieces, singleBytes } from '../support/every-split.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import {
  B,
  backend,
  D,
  E,
  F,
  type Frame,
  FrameCollector,
  P,
  Q,
  S,
  startupPacket,
} from '../support/frames.js';
import { cancelled } from '../support/leak-exits.js';
import { PATIENCE_MS } from '../support/patience.js';
import { RawClient, summarise } from '../support/raw-client.js';
import { eventually, sleep } from '../support/wire.js';

describe('frame collector', () => {
  const script = Buffer.concat([
    Q('select 1'),
    P('s', 'select $1', [23]),
    B('', 's', { values: ['7', null] }),
    E(''),
    S(),
  ]);
  it('gives the same frames for every split and for single bytes', async () => {
    const collect = (pieces: Buffer[]): Frame[] => {
      const collector = new FrameCollector();
      return pieces.flatMap((piece) => collector.push(piece));
    };
    const whole = collect([script]);
    assert.deepEqual(
      whole.map((frame) => frame.type),
      ['Q', 'P', 'B', 'E', 'S'],
    );
    await everySplit(script, (pieces) => assert.deepEqual(collect(pieces), whole));
    assert.deepEqual(collect(singleBytes(script)), whole);
  });
  it('everySplit names the offset that failed', async () => {
    await assert.rejects(
      everySplit(script, (pieces, offset) => assert.notEqual(offset, 3, String(pieces.length))),
      /split at offset 3/,
    );
  });
});

for (const auth of ['trust', 'password', 'md5', 'scram-sha-256'] satisfies ServerAuth[]) {
  describe(`raw client against a server that asks ${auth}`, () => {
    let server: TestPostgres;
    before(async () => {
      server = await startPostgres({
        auth,
        users: [{ name: "o'brien", password: "p'w" }],
        initSql: 'create table t (a int); insert into t values (1), (2)',
      });
    });
    after(() => server.stop());

    it('logs in, runs simple and extended queries, sees errors', async () => {
      const client = await RawClient.connect({ port: server.port, password: 'postgres' });
      assert.deepEqual((await client.query('select a, null as n from t order by a')).rows, [
        ['1', null],
        ['2', null],
      ]);
      client.send(P('', 'select $1::int + 1 as next'), B('', '', { values: ['41'] }), D('P', ''), E(''), S());
      const result = await client.readUntilReady();
      assert.deepEqual([result.columns, result.rows, result.tags], [['next'], [['42']], ['SELECT 1']]);
      assert.equal((await client.query('select 1/0')).error?.C, '22012');
      client.send(F(1598, []));
      assert.deepEqual(
        (await client.readUntilReady()).frames.map((frame) => frame.type),
        ['V', 'Z'],
      );
      await client.end();
    });
    it('logs in as another user, and refuses a wrong password where one is asked', async () => {
      const client = await RawClient.connect({ port: server.port, user: "o'brien", password: "p'w" });
      await client.end();
      const wrong = await RawClient.open({ port: server.port, password: 'wrong' });
      const result = await wrong.login();
      assert.equal(result.error?.C, auth === 'trust' ? undefined : '28P01');
      wrong.destroy();
    });
    it('cancels, speaks 3.2, and comes back after a crash of the server', async () => {
      const client = await RawClient.connect({ port: server.port, password: 'postgres', version: 196610 });
      assert.ok(client.secret.length > 4, 'protocol 3.2 has long secrets');
      client.send(Q('select pg_sleep(600)'));
      await cancelled(client);
      // A process of it that is late to notice keeps the server from starting until it has.
      process.kill(client.pid, 'SIGSTOP');
      try {
        await server.kill('SIGKILL');
        const back = server.restart();
        assert.equal(await Promise.race([back.then(() => 'back'), sleep(500)]), undefined);
        process.kill(client.pid, 'SIGCONT');
        await client.expectClosed();
        await back;
      } finally {
        client.destroy();
      }
      assert.deepEqual(await server.query('select count(*)::int as n from t'), [{ n: 2 }]);
    });
  });
}

describe('fake server', () => {
  it('answers its default script, to login packets in every split as well', async () => {
    const fake = await startFakePostgres();
    await everySplit(startupPacket({ user: 'u' }), async (pieces) => {
      const client = await RawClient.open({ port: fake.port });
      await sendInPieces(client, pieces, 0);
      assert.equal((await client.readUntilReady()).status, 'I');
      client.destroy();
    });
    await fake.stop();
  });
  it('asks for md5 and refuses a wrong password', async () => {
    const fake = await startFakePostgres({ auth: 'md5', password: 'secret' });
    const good = await RawClient.connect({ port: fake.port, password: 'secret' });
    assert.deepEqual((await good.query('select 9')).rows, [['select 9']]);
    await assert.rejects(RawClient.connect({ port: fake.port, password: 'other' }), /28P01/);
    await good.end();
    await fake.stop();
  });
  it('misbehaves as told: half a frame, a giant length, silence, a reset', async () => {
    const fake = await startFakePostgres({
      onFrame: (connection, frame) => {
        if (frame.body.includes('half')) connection.sendHalf(backend.complete('SELECT 1'));
        if (frame.body.includes('giant')) connection.sendHeader('D', 0x7fffffff);
        if (frame.body.includes('reset')) connection.reset();
      },
    });
    for (const [word, pattern] of [
      ['half', /no frame .*bytes of one came/],
      ['giant', /no frame/],
      ['silent', /\(0 bytes/],
      ['reset', /closed/],
    ] as const) {
      const client = await RawClient.connect({ port: fake.port });
      const before = client.received.length;
      client.send(Q(word));
      if (word === 'half' || word === 'giant')
        await eventually('it has come', async () => client.received.length > before);
      await assert.rejects(client.readFrame(word === 'reset' ? PATIENCE_MS : 100), pattern, word);
      client.destroy();
    }
    const first = await fake.connection(0);
    assert.equal(first.letters, 'Q');
    await fake.stop();
  });
  it('holds frames behind a slow handler', async () => {
    const order: string[] = [];
    const fake = await startFakePostgres({
      onFrame: async (connection, frame) => {
        await new Promise((resolve) => setTimeout(resolve, frame.type === 'P' ? 30 : 0));
        order.push(frame.type);
        if (frame.type === 'S') connection.send(backend.ready());
      },
    });
    const client = await RawClient.connect({ port: fake.port });
    client.send(P('', 'x'), E(''), S());
    assert.equal(summarise((await client.readUntilReady()).frames).status, 'I');
    assert.deepEqual(order, ['P', 'E', 'S']);
    client.destroy();
    await fake.stop();
  });
});
