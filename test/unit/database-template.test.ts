// Entries of [[databases]] whose name is a pattern: what they are for a name, and what the check refuses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fillTemplate } from '@pgdog-cluster/core/config';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

const entry = (lines: Record<string, string | number>) =>
  `[[databases]]\n${Object.entries(lines)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    .join('\n')}\n`;
const ALL = '[[users]]\nname = "app"\nall_databases = true\npassword = "hunter2"\n';

function filled(lines: Record<string, string | number>, name: string) {
  const { templates, databases } = load({ config: entry(lines), users: ALL });
  assert.deepEqual(databases, []);
  const made = fillTemplate(templates[0], name);
  return typeof made === 'string'
    ? made
    : [made[0].name, made[0].host, made[0].serverDatabase, made[0].pattern];
}

describe('a name', () => {
  const HOST = { name: 'tenant_*', host: '10.0.0.1' };

  it('is the name on the server unless the pattern says another', () => {
    assert.deepEqual(filled(HOST, 'tenant_1'), ['tenant_1', '10.0.0.1', 'tenant_1', 'tenant_*']);
    assert.deepEqual(filled({ ...HOST, database_name: 'db_{1}' }, 'tenant_1')[2], 'db_1');
    assert.deepEqual(filled({ ...HOST, database_name: 'one' }, 'tenant_1')[2], 'one');
    assert.deepEqual(filled({ name: '*_*', host: '{2}.db.internal', database_name: '{1}{name}' }, 'a_b'), [
      'a_b',
      'b.db.internal',
      'aa_b',
      '*_*',
    ]);
  });

  it('may be anything where it is no part of a host, and not longer than Postgres has names', () => {
    assert.equal(filled(HOST, "tenant_'; DROP")[2], "tenant_'; DROP");
    assert.equal(filled(HOST, `tenant_${'x'.repeat(57)}`), 'its name is too long');
    assert.equal(
      filled({ ...HOST, database_name: '{name}{name}' }, `tenant_${'x'.repeat(40)}`),
      'its name is too long',
    );
    assert.equal(filled(HOST, `tenant_${'ä'.repeat(29)}`), 'its name is too long');
    assert.equal(filled(HOST, 'other'), 'its name does not fit');
  });

  it('is a part of a host as far as host names go, and never an address or another domain', () => {
    const at = (name: string, host = '{1}.db.internal') => filled({ name: 'at_*', host }, `at_${name}`);
    assert.equal(at('a-b_1')[1], 'a-b_1.db.internal');
    const bad = [
      'a.b',
      'a/b',
      '/tmp',
      '@x',
      'a@b',
      'a b',
      'a:5432',
      'a,b',
      'ä',
      '-a',
      'a-',
      'a%lo',
      '[::1]',
      'a\n',
      "a'",
      '..',
      '{1}',
    ];
    for (const name of bad) assert.equal(at(name), 'its name cannot be part of a host name', name);
    assert.equal(at('x'.repeat(60), 'db-1-{1}'), 'its name cannot be part of a host name');
    // 0x7f.1 and 127.1 are addresses to getaddrinfo(3).
    assert.equal(at('127', '{1}.0x1'), 'its name cannot be part of a host name');
    assert.equal(at('7f000001', '0x{1}'), 'its name cannot be part of a host name');
    assert.equal(at('7f000001z', '0x{1}')[1], '0x7f000001z');
  });
});

describe('the check', () => {
  const errors = (...entries: Record<string, string | number>[]) =>
    errorsOf({ config: entries.map(entry).join(''), users: ALL });

  it('refuses what leads wherever a client likes', () => {
    assert.match(errors({ name: '*', host: '{name}' })[0], /the client would choose the host/);
    assert.match(errors({ name: '*', host: '{1}.1' })[0], /the client would choose the host/);
    assert.match(errors({ name: '*', host: 'db.{1}' })[0], /the client would choose the domain/);
    assert.match(errors({ name: '*', host: 'db.x{1}.' })[0], /the client would choose the domain/);
    assert.match(errors({ name: '*', host: '/run/{1}' })[0], /a Unix socket cannot be chosen by the client/);
    assert.match(
      errors({ name: '*', host: 'a', user: '{1}' })[0],
      /the client would choose who it is on the server/,
    );
  });

  it('refuses placeholders that stand for nothing', () => {
    assert.match(
      errors({ name: 'a*', host: 'db{2}' })[0],
      /there is no \{2\} here: the pattern gives \{name\}, \{1\}/,
    );
    assert.match(errors({ name: 'a*', host: 'a', database_name: '{nam}' })[0], /there is no \{nam\} here/);
    assert.match(errors({ name: 'a*', host: 'a', database_name: '{name' })[0], /expected \{ and \}/);
    // Without a star there is nothing to put in: braces are braces.
    assert.deepEqual(errors({ name: 'a', host: 'a', database_name: '{name}' }), []);
  });

  it('refuses two patterns that are equally exact for one name', () => {
    const host = '10.0.0.1';
    assert.match(errors({ name: 'a*', host }, { name: '*b', host })[0], /"\*b" and "a\*" are equally exact/);
    assert.deepEqual(
      errors({ name: 'a*', host }, { name: 'b*', host }, { name: '*', host }, { name: 'ab*', host }),
      [],
    );
    // Hosts of one.
    assert.deepEqual(errors({ name: 'a*', host }, { name: 'a*', host: '10.0.0.2', role: 'replica' }), []);
    assert.match(errors({ name: 'a*', host }, { name: 'a*', host: '10.0.0.2' })[0], /has a primary already/);
  });

  it('refuses shards, and auth_query in whatever database a stranger names', () => {
    const host = '10.0.0.1';
    assert.match(
      errors({ name: 'a*', host }, { name: 'a*', host: '10.0.0.2', shard: 1 })[0],
      /have one shard/,
    );
    assert.match(errors({ name: 'a*', host, auth_user: 'asker' })[0], /auth_dbname.*missing/);
    const asked = { auth_user: 'asker', auth_dbname: 'shop' };
    assert.deepEqual(errors({ name: 'a*', host, ...asked }, { name: 'shop', host }), []);
    assert.match(errors({ name: 'a*', host, ...asked })[0], /no database "shop" is configured/);
  });

  it('knows which users of a list are for which database', () => {
    const config = entry({ name: 'tenant_*', host: 'a' }) + DATABASE;
    const user = (databases: string[], more = '') =>
      `[[users]]\nname = "app"\ndatabases = ${JSON.stringify(databases)}\npassword = "hunter2"\n${more}`;
    const warnings = (users: string) => load({ config, users }).warnings.map(({ message }) => message);
    assert.deepEqual(warnings(user(['tenant_*'])), []);
    assert.deepEqual(warnings(user(['tenant_1', 'shop'])), []);
    assert.deepEqual(warnings(user(['sh*'])), []);
    assert.match(warnings(user(['other_*']))[0], /no database "other_\*" is configured/);
    assert.match(
      errorsOf({ config, users: user(['tenant_*']) + user(['tenant_1']) })[0],
      /has an entry for the same database already/,
    );
    assert.deepEqual(errorsOf({ config, users: user(['tenant_*']) + user(['shop']) }), []);
    assert.match(
      errorsOf({ config, users: USER.replace('"app"', '"*"') })[0],
      /there is no entry for all users/,
    );
  });

  it('refuses to mirror what has no one destination', () => {
    const mirror = '[[mirroring]]\nsource_db = "shop"\ndestination_db = "tenant_*"\n';
    const config = entry({ name: 'tenant_*', host: 'a' }) + DATABASE + mirror;
    assert.notDeepEqual(errorsOf({ config, users: ALL }), []);
  });
});
