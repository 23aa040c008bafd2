/** Random programs of LISTEN, UNLISTEN and transactions: a client of the proxy hears what one of Postgres itself hears. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { SeededRandom } from '@pgdog-cluster/core';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, E, type Frame, P, Q, S } from '../support/frames.js';
import { Guests, notificationsIn, startListeningProxy } from '../support/listening.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, run } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
  await server.query('CREATE DATABASE second');
});
after(() => server.stop());

const PROGRAMS = 6;
const STEPS = 40;
const CHANNELS = ['a', 'b', 'c'];
const STATEMENTS = [
  'BEGIN',
  'BEGIN',
  'COMMIT',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT s',
  'ROLLBACK TO s',
  'RELEASE s',
  'SELECT 1',
  'SELECT 1/0',
  'UNLISTEN *',
  'DISCARD ALL',
  ...CHANNELS.flatMap((channel) => [
    `LISTEN ${channel}`,
    `LISTEN ${channel}`,
    `UNLISTEN ${channel}`,
    `DO $$ BEGIN EXECUTE 'LISTEN ${channel}'; END $$`,
    `DO $$ BEGIN EXECUTE 'UNLISTEN ${channel}'; END $$`,
    `LISTEN ${channel}; SELECT 1`,
    `BEGIN; LISTEN ${channel}; COMMIT; SELECT 1`,
    `UNLISTEN ${channel}; SELECT 1/0`,
    `NOTIFY ${channel}, 'own'`,
  ]),
];

/** One of the two, and all it has heard. */
class Hearer {
  readonly client: RawClient;
  readonly heard: string[] = [];

  constructor(client: RawClient) {
    this.client = client;
  }

  /** Returns the status it ends in, and what was answered but notifications. */
  async run(messages: Buffer[]): Promise<string> {
    this.client.send(...messages);
    const frames = await this.client.readUntil('Z');
    this.note(frames);
    const said = frames.filter(({ type }) => type !== 'A' && type !== 'S');
    return said
      .map(({ type, body }) => (type === 'Z' || type === 'C' ? `${type}${body.toString()}` : type))
      .join(' ');
  }

  async listened(): Promise<Set<string>> {
    const { frames, rows } = await this.client.query('SELECT pg_listening_channels()');
    this.note(frames);
    return new Set(rows.map(([channel]) => channel ?? ''));
  }

  note(frames: Frame[]): void {
    this.heard.push(...notificationsIn(frames));
  }

  async drain(): Promise<void> {
    for (;;) {
      const frame = await this.client.readFrame(20).catch(() => null);
      if (frame === null) return;
      this.note([frame]);
    }
  }
}

function messagesOf(sql: string, isExtended: boolean): Buffer[] {
  // A batch holds one statement; texts of several go as a Query.
  if (!isExtended || (sql.includes(';') && !sql.startsWith('DO'))) return [Q(sql)];
  return [P('', sql), B('', ''), E(''), S()];
}

forOneDriver('random programs that listen', (driver) => {
  let proxy: TestProxy;
  let notifier: RawClient;
  const guests = new Guests(() => proxy);
  before(async () => {
    proxy = await startListeningProxy(server, driver, 5000);
    notifier = await clientOf(server);
  });
  after(async () => {
    await notifier.end();
    await proxy.stop();
  });
  afterEach(() => guests.goAway());

  for (let seed = 1; seed <= PROGRAMS; seed++) {
    it(`seed ${seed}`, async () => {
      const random = new SeededRandom(seed * 7919);
      const ours = new Hearer(await guests.join());
      const theirs = new Hearer(await clientOf(server));
      const program: string[] = [];
      let listened = new Set<string>();
      /** Of the transaction under way. */
      let notified: string[] = [];
      const uncertain = new Set<string>();
      for (let step = 0; step < STEPS; step++) {
        const sql = STATEMENTS[random.below(STATEMENTS.length)];
        const messages = messagesOf(sql, random.below(2) === 1);
        program.push(sql);
        const [mine, other] = [await ours.run(messages), await theirs.run(messages)];
        assert.equal(mine, other, program.join(' | '));
        const isIdle = mine.endsWith('ZI');
        if (isIdle) {
          // Postgres tells, or does not tell, of what was notified before the COMMIT of a LISTEN: either is right.
          const now = await theirs.listened();
          for (const text of notified) {
            const channel = text.split('=')[0];
            if (!listened.has(channel) || !now.has(channel)) uncertain.add(text);
          }
          listened = now;
          notified = [];
        }
        for (const channel of CHANNELS) {
          await run(notifier, `NOTIFY ${channel}, '${step}'`);
          if (!isIdle) notified.push(`${channel}=${step}`);
        }
        // Within a transaction both hear nothing; between two, soon the same.
        if (!isIdle) continue;
        const certain = ({ heard }: Hearer) => heard.filter((text) => !uncertain.has(text));
        await eventually('both have heard the same', async () => {
          await Promise.all([ours.drain(), theirs.drain()]);
          return certain(ours).length === certain(theirs).length;
        }).catch(() => {});
        assert.deepEqual(certain(ours), certain(theirs), program.join(' | '));
      }
      theirs.client.destroy();
    });
  }
});
