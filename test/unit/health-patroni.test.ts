import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readPatroni } from 'pgdog-cluster';
import { DATABASE, load, USER } from '../support/load-configuration.js';

const member = (role: string, port = 5432, host = '10.0.0.1') => ({
  name: 'a',
  role,
  state: 'running',
  host,
  port,
});

describe('what Patroni answers', () => {
  it('names the leader, whatever the version calls it', () => {
    for (const role of ['leader', 'master', 'primary']) {
      const view = readPatroni({
        members: [member('replica', 1), member(role, 2), member('sync_standby', 3)],
      });
      assert.deepEqual(view?.leader, { host: '10.0.0.1', port: 2 }, role);
      assert.equal(view?.members.length, 3);
    }
  });

  it('may have no leader, or one that writes nothing', () => {
    assert.equal(readPatroni({ members: [member('replica')] })?.leader, null);
    assert.equal(readPatroni({ members: [member('standby_leader')] })?.leader, null);
    assert.deepEqual(readPatroni({ members: [] }), { leader: null, members: [] });
  });

  it('leaves out who has no address yet', () => {
    const view = readPatroni({
      members: [{ name: 'joining', role: 'uninitialized' }, member('leader'), null],
    });
    assert.equal(view?.members.length, 1);
  });

  it('is none when it is something else, or contradicts itself', () => {
    for (const body of [
      null,
      'x',
      [],
      {},
      { members: 'x' },
      { members: [member('leader', 1), member('leader', 2)] },
    ])
      assert.equal(readPatroni(body), null, JSON.stringify(body));
  });
});

describe('patroni_url', () => {
  const warningsOf = (config: string) => load({ config, users: USER }).warnings.map(({ message }) => message);

  it('is for hosts whose role is found out', () => {
    const own = `${DATABASE}patroni_url = "https://patroni:8008"\n`;
    assert.deepEqual(warningsOf(own), ['has no effect without role = "auto"']);
    assert.deepEqual(warningsOf(`${own}role = "auto"\n`), []);
  });

  it('of [general] is that of every database without its own', () => {
    const config = `[general]\npatroni_url = ["http://a", "http://b"]\n${DATABASE}[[databases]]\nname = "x"\nhost = "h"\npatroni_url = "http://c"\n`;
    const { databases } = load({ config, users: USER });
    assert.deepEqual(
      databases.map(({ patroniUrls }) => patroniUrls),
      [['http://a', 'http://b'], ['http://c']],
    );
  });
});
