/** Parts of a worker that log in: what a pool shows its server, keys derived beside the loop, who is known. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { deriveScramKeys, deriveVerifier, type PoolSnapshot } from '@pgdog-cluster/core';
import { Credentials, Directory, KeyDerivation } from '@pgdog-cluster/worker';
import { buildSnapshot } from 'pgdog-cluster';
import { DATABASE, load, USER } from '../support/load-configuration.js';

const snapshotOf = (config = DATABASE, users = USER) => buildSnapshot(load({ config, users }), 1);
const SALT = new Uint8Array(16).fill(5);

async function poolWith(change: Partial<PoolSnapshot>): Promise<PoolSnapshot> {
  const [pool] = (await snapshotOf()).pools;
  return { ...pool, ...change };
}

describe('what a pool shows its server', () => {
  it('several passwords: the next when one is refused, the one that worked first', async () => {
    const credentials = new Credentials(await poolWith({ serverPasswords: ['a', 'b', 'c'] }));
    assert.equal(credentials.preferred, 0);
    assert.equal(credentials.tryNext(0), true);
    // A second connect with the first one was under way.
    assert.equal(credentials.tryNext(0), true);
    assert.equal(credentials.preferred, 1);
    assert.equal(credentials.password(credentials.preferred), 'b');
    credentials.worked(1);
    assert.equal(credentials.preferred, 1);
    assert.equal(credentials.tryNext(1), true);
    assert.equal(credentials.preferred, 2);
    assert.equal(credentials.tryNext(2), true);
    assert.equal(credentials.preferred, 0);
    assert.equal(credentials.tryNext(0), false, 'all have been refused');
    assert.equal(credentials.tryNext(0), true, 'and then it begins anew');
  });

  it('one password, or none: nothing to try next', async () => {
    assert.equal(new Credentials(await poolWith({ serverPasswords: ['a'] })).tryNext(0), false);
    const none = new Credentials(await poolWith({ serverPasswords: [] }));
    assert.equal(none.tryNext(0), false);
    assert.deepEqual([none.password(0), none.md5Hash, none.isWaitingForProof], [null, null, false]);
  });

  it('a verifier alone waits for a client to prove its key, and fits only the same verifier', async () => {
    const verifier = deriveVerifier('pencil', 3, SALT);
    const { clientKey } = deriveScramKeys('pencil', SALT, 3);
    const pool = await poolWith({ serverPasswords: [], serverVerifiers: [verifier] });
    const credentials = new Credentials(pool);
    assert.equal(credentials.isWaitingForProof, true);
    assert.equal(credentials.keysFor({ salt: SALT, iterations: 3 }), null);
    credentials.learn({ verifier: deriveVerifier('other', 3, SALT), clientKey }, null);
    assert.equal(credentials.isWaitingForProof, true, 'keys of a verifier that is not configured');
    credentials.learn({ verifier, clientKey }, null);
    assert.equal(credentials.isWaitingForProof, false);
    assert.deepEqual(credentials.keysFor({ salt: SALT, iterations: 3 })?.clientKey, clientKey);
    assert.equal(credentials.keysFor({ salt: SALT, iterations: 4 }), null);
    assert.equal(credentials.keysFor({ salt: new Uint8Array(16), iterations: 3 }), null);
    credentials.takeUp({ ...pool, serverVerifiers: [deriveVerifier('fresh', 3, SALT)] });
    assert.equal(credentials.isWaitingForProof, true, 'the password has changed');
    assert.equal(credentials.keysFor({ salt: SALT, iterations: 3 }), null);
  });

  it('keys that fit the verifier of a server count beside a password, which may be a former one', async () => {
    const verifier = deriveVerifier('fresh', 3, SALT);
    const { clientKey } = deriveScramKeys('fresh', SALT, 3);
    const credentials = new Credentials(
      await poolWith({ serverPasswords: ['former'], serverVerifiers: [verifier] }),
    );
    credentials.learn({ verifier, clientKey }, 'fresh');
    assert.deepEqual(credentials.keysFor({ salt: SALT, iterations: 3 })?.clientKey, clientKey);
    assert.equal(credentials.keysFor({ salt: new Uint8Array(16), iterations: 3 }), null);
    assert.equal(credentials.password(0), 'former');
  });

  it('a password sent in clear serves where only a hash is known, and never in place of a configured one', async () => {
    const hashed = new Credentials(
      await poolWith({ serverPasswords: [], serverMd5Hashes: ['0'.repeat(32)] }),
    );
    assert.equal(hashed.md5Hash, '0'.repeat(32));
    hashed.learn(null, 'typed');
    assert.equal(hashed.password(0), 'typed');
    const given = new Credentials(await poolWith({ serverPasswords: ['given'] }));
    given.learn(null, 'typed');
    assert.equal(given.password(0), 'given');
    const trusted = new Credentials(await poolWith({ serverPasswords: [] }));
    trusted.learn(null, 'typed');
    assert.equal(trusted.password(0), null, 'nobody said that the server wants the password of the client');
    for (const shown of [hashed, given]) {
      const text = inspect(shown, { depth: 9, showHidden: true });
      assert.equal(text.includes('typed') || text.includes('given'), false);
    }
  });
});

describe('key derivation beside the loop', () => {
  /** Turns until everything has come, as the loop does. */
  async function settle(derivation: KeyDerivation): Promise<void> {
    while (derivation.isPending || derivation.hasResults) {
      derivation.deliver();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('gives the right keys, later, once for all who asked', async () => {
    const derivation = new KeyDerivation();
    const got: unknown[] = [];
    const ask = (isWanted: boolean) =>
      derivation.derive(
        'pencil',
        SALT,
        100,
        () => isWanted,
        (keys) => got.push(keys),
      );
    ask(true);
    ask(false);
    ask(true);
    assert.equal(got.length, 0);
    await settle(derivation);
    assert.equal(got.length, 2);
    assert.equal(got[0], got[1]);
    assert.deepEqual(got[0], deriveScramKeys('pencil', SALT, 100));
    assert.equal(derivation.known('pencil', SALT, 100), undefined, 'nobody said that they were right');
    derivation.keep('pencil', SALT, 100, deriveScramKeys('pencil', SALT, 100));
    assert.notEqual(derivation.known('pencil', SALT, 100), undefined);
    assert.equal(derivation.known('pencil', SALT, 101), undefined);
  });

  it('runs a few at a time, and not for who has left', async () => {
    const derivation = new KeyDerivation();
    let isHere = true;
    const got: number[] = [];
    for (let number = 0; number < 20; number += 1) {
      derivation.derive(
        `p${number}`,
        SALT,
        1000,
        () => isHere || number === 19,
        () => got.push(number),
      );
    }
    isHere = false;
    await settle(derivation);
    assert.deepEqual(got, [19]);
  });
});

describe('who is known to a worker', () => {
  const answer = (askedMs: number, freshUntilMs: number) => ({
    user: null,
    isUnreachable: false,
    askedMs,
    freshUntilMs,
  });

  it('configured users and pools by their names', async () => {
    const other = USER.replace('shop', 'other').replace('hunter2', 'third');
    const config = await snapshotOf(`${DATABASE}${DATABASE.replace('shop', 'other')}`, `${USER}${other}`);
    const directory = new Directory(config);
    assert.equal(directory.user('app', 'shop'), config.users[0]);
    assert.equal(directory.user('app', 'other'), config.users[1]);
    assert.equal(directory.user('app', 'third'), null);
    assert.equal(directory.user('toString', 'shop'), null);
    assert.equal(directory.pool('other', 'app')?.index, 1);
    assert.equal(directory.pool('app', 'other'), null);
    assert.equal(directory.poolAt(7), null);
    directory.addPool({ ...config.pools[0], index: 7, user: 'late' });
    assert.equal(directory.pool('shop', 'late')?.index, 7);
    assert.equal(directory.poolAt(7)?.user, 'late');
    assert.equal(config.pools.length, 3);
    directory.addPool({ ...config.pools[0], index: 7, user: 'late', serverPasswords: ['new'] });
    assert.equal(config.pools.length, 3);
    assert.deepEqual(directory.poolAt(7)?.serverPasswords, ['new']);
  });

  it('answers are kept while fresh, apart by kind, and bounded', async () => {
    const directory = new Directory(
      await snapshotOf(`[general]\nauth_query_cache_size = 2\nauth_query_failure_ttl = 50\n${DATABASE}`),
    );
    directory.noteLookedUp('lookup', 'shop', 'ann', answer(0, 100));
    assert.notEqual(directory.lookedUpUser('lookup', 'shop', 'ann', 99), undefined);
    assert.equal(directory.lookedUpUser('lookup', 'shop', 'ann', 100), undefined);
    assert.equal(directory.lookedUpUser('passthrough', 'shop', 'ann', 1), undefined);
    // A password that did not fit: the answer is doubted, but not asked for again more often than failures are.
    directory.doubt('shop', 'ann');
    assert.notEqual(directory.lookedUpUser('lookup', 'shop', 'ann', 49), undefined);
    assert.equal(directory.lookedUpUser('lookup', 'shop', 'ann', 50), undefined);
    directory.noteLookedUp('lookup', 'shop', 'bob', answer(0, 100));
    directory.noteLookedUp('lookup', 'shop', 'carl', answer(0, 100));
    assert.equal(directory.lookedUpUser('lookup', 'shop', 'ann', 1), undefined);
    assert.notEqual(directory.lookedUpUser('lookup', 'shop', 'bob', 1), undefined);
    directory.takeUp(await snapshotOf());
    assert.equal(directory.lookedUpUser('lookup', 'shop', 'carl', 1), undefined);
  });
});
