/** pg_hba.conf and pg_ident.conf: what is read, what is refused by line, and which rule decides. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  groupNames,
  type HbaSubject,
  hbaRefusal,
  isInNetwork,
  isMappedUser,
  matchHba,
  parseHba,
  parseIdentMap,
  parseIp,
  parseIpNetwork,
} from '@pgdog-cluster/core';

const read = (text: string) => parseHba('pg_hba.conf', text, () => null);

function rulesOf(text: string) {
  const { rules, problems } = read(text);
  assert.deepEqual(problems, [], text);
  return rules;
}

const SUBJECT: HbaSubject = {
  user: 'ann',
  database: 'shop',
  address: '10.1.2.3',
  isTls: false,
  isReplication: false,
  groups: 'unasked',
};

/** Line of the rule that decides, and its method. */
function decide(text: string, subject: Partial<HbaSubject> = {}): string {
  const rule = matchHba(rulesOf(text), { ...SUBJECT, ...subject });
  if (rule === 'ask') return 'ask';
  return rule === null ? 'none' : `${rule.line} ${rule.method}`;
}

describe('the first rule that fits decides', () => {
  const cases: [title: string, text: string, subject: Partial<HbaSubject>, outcome: string][] = [
    ['nothing fits nothing', '', {}, 'none'],
    ['comments and blank lines', '# host all all all trust\n\n  \n host all all all md5 # x', {}, '4 md5'],
    ['first wins', 'host all all all reject\nhost all all all trust', {}, '1 reject'],
    ['local is for sockets', 'local all all trust\nhost all all all md5', {}, '2 md5'],
    ['host is not for sockets', 'host all all all md5', { address: null }, 'none'],
    ['a socket', 'host all all all md5\nlocal all all peer', { address: null }, '2 peer'],
    ['hostssl without TLS', 'hostssl all all all md5\nhost all all all reject', {}, '2 reject'],
    ['hostssl with TLS', 'hostssl all all all md5', { isTls: true }, '1 md5'],
    ['hostnossl without TLS', 'hostnossl all all all md5', {}, '1 md5'],
    ['hostnossl with TLS', 'hostnossl all all all md5', { isTls: true }, 'none'],
    ['hostgssenc never', 'hostgssenc all all all md5\nhostnogssenc all all all trust', {}, '2 trust'],
    ['another database', 'host other all all md5', {}, 'none'],
    ['a list of databases', 'host other,shop all all md5', {}, '1 md5'],
    ['a list with blanks', 'host other, shop all all md5', {}, '1 md5'],
    ['another user', 'host all bob all md5', {}, 'none'],
    ['a list of users', 'host all bob,ann all md5', {}, '1 md5'],
    ['names are exact', 'host Shop Ann all md5', {}, 'none'],
    ['sameuser', 'host sameuser all all md5', { database: 'ann' }, '1 md5'],
    ['not sameuser', 'host sameuser all all md5', {}, 'none'],
    ['a database called all', 'host "all" all all md5', {}, 'none'],
    ['the database called all', 'host "all" all all md5', { database: 'all' }, '1 md5'],
    ['a user called all', 'host all "all" all md5', {}, 'none'],
    ['a quoted name with blank and comma', 'host "a b,c" all all md5', { database: 'a b,c' }, '1 md5'],
    ['a quote in a name', 'host "a""b" all all md5', { database: 'a"b' }, '1 md5'],
    ['a sharp in a name', 'host "a#b" all all md5', { database: 'a#b' }, '1 md5'],
    ['a quoted address', 'host all all "10.0.0.0/8" md5', {}, '1 md5'],
    ['replication is no database', 'host replication all all md5', { database: 'replication' }, 'none'],
    ['all has no replication', 'host all all all md5', { isReplication: true }, 'none'],
    ['replication', 'host all,replication all all md5', { isReplication: true }, '1 md5'],
    ['a joined line', 'host all \\\n all all \\\n md5\nhost all all all trust', {}, '1 md5'],
    ['line ends of Windows', 'host all all all md5\r\n', {}, '1 md5'],
    ['ident over a socket is peer', 'local all all ident', { address: null }, '1 peer'],
  ];
  for (const [title, text, subject, outcome] of cases) {
    it(title, () => assert.equal(decide(text, subject), outcome));
  }
});

describe('groups', () => {
  const of = (...names: string[]) => ({ groups: new Set(names) });
  const unanswerable = { groups: 'unanswerable' as const };
  const staff = 'host all +staff all md5\nhost all all all trust';
  const barred = 'host all +left all reject\nhost all all all md5';
  const cases: [title: string, text: string, subject: Partial<HbaSubject>, outcome: string][] = [
    ['a member', staff, of('staff'), '1 md5'],
    ['a stranger', staff, of('crew'), '2 trust'],
    ['of none', staff, of(), '2 trust'],
    ['the name is exact', staff, of('Staff'), '2 trust'],
    ['not asked yet', staff, {}, 'ask'],
    ['nobody to ask: the rule does not fit', staff, unanswerable, '2 trust'],
    ['a member is kept out', barred, of('left'), '1 reject'],
    ['others are not', barred, of(), '2 md5'],
    ['not asked yet who is kept out', barred, {}, 'ask'],
    ['nobody to ask who is kept out: everybody is', barred, unanswerable, '1 reject'],
    ['one of several', 'host all bob,+staff,+crew all md5', of('crew'), '1 md5'],
    ['named beside a group: nobody is asked', 'host all +staff,ann all md5', {}, '1 md5'],
    ['all beside a group: nobody is asked', 'host all +staff,all all md5', {}, '1 md5'],
    ['a rule for others: nobody is asked', 'host other +staff all md5\nlocal all +staff peer', {}, 'none'],
    ['an earlier rule fits: nobody is asked', 'host all ann all md5\nhost all +staff all trust', {}, '1 md5'],
    ['samerole', 'host samerole all all md5', of('shop'), '1 md5'],
    ['its old name', 'host samegroup all all md5', of('shop'), '1 md5'],
    ['samerole of another', 'host samerole all all md5', of('other'), 'none'],
    ['samerole, not asked yet', 'host samerole all all md5', {}, 'ask'],
    ['samerole is not asked of other users', 'host samerole bob all md5', {}, 'none'],
    ['a database named beside samerole: nobody is asked', 'host samerole,shop all all md5', {}, '1 md5'],
    ['samerole of a group', 'host samerole +staff all md5', of('shop', 'staff'), '1 md5'],
    ['samerole of a group of others', 'host samerole +staff all md5', of('shop'), 'none'],
    [
      'nobody to ask about samerole',
      'host samerole all all md5\nhost all all all trust',
      unanswerable,
      '2 trust',
    ],
    ['nobody to ask who is kept out by samerole', 'host samerole all all reject', unanswerable, '1 reject'],
    [
      'samerole is no replication',
      'host samerole all all md5',
      { ...of('shop'), isReplication: true },
      'none',
    ],
    ['a quoted samerole is a name', 'host "samerole" all all md5', of('shop'), 'none'],
    ['a quoted plus is a name', 'host all "+staff" all md5', of('staff'), 'none'],
    ['a quoted group', 'host all +"night shift" all md5', of('night shift'), '1 md5'],
  ];
  for (const [title, text, subject, outcome] of cases) {
    it(title, () => assert.equal(decide(text, subject), outcome));
  }

  it('each is named once in the question', () => {
    const rules = rulesOf(`${staff}\n${barred}\nhost samerole,x +staff,"+x",+crew all md5`);
    assert.deepEqual(groupNames(rules, 'shop'), ['staff', 'left', 'crew', 'shop']);
    assert.deepEqual(groupNames(rules, null), ['staff', 'left', 'crew']);
  });
});

describe('addresses', () => {
  const cases: [rule: string, address: string, fits: boolean][] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/32', '10.1.2.3', true],
    ['10.1.2.3/32', '10.1.2.4', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '10.0.0.1', false],
    ['::/0', 'fe80::1', true],
    ['10.0.0.0 255.255.0.0', '10.0.3.4', true],
    ['10.0.0.0 255.255.0.0', '10.1.3.4', false],
    ['10.0.0.128/25', '10.0.0.127', false],
    ['10.0.0.128/25', '10.0.0.129', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['2001:db8:: ffff:ffff::', '2001:db8:1::', true],
    ['::ffff:10.0.0.0/104', '::ffff:10.9.9.9', true],
    ['all', '10.0.0.1', true],
    ['all', '::1', true],
    // Somebody whose address cannot be read fits no rule that names one.
    ['0.0.0.0/0', 'nonsense', false],
    ['samehost', '10.1.2.3', false],
  ];
  for (const [rule, address, fits] of cases) {
    it(`${rule} and ${address}`, () => {
      assert.equal(decide(`host all all ${rule} md5`, { address }), fits ? '1 md5' : 'none');
    });
  }

  it('numbers are read strictly', () => {
    for (const bad of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3.4 ',
      '1..3.4',
      ':',
      ':::',
      '1::2::3',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7::8',
      '12345::',
      'g::',
      '::1%eth0',
      '1.2.3.4::',
    ]) {
      assert.equal(parseIp(bad), null, bad);
    }
    for (const bad of ['1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/', '::/129', '1.2.3.4/08', '/8']) {
      assert.equal(parseIpNetwork(bad), null, bad);
    }
    assert.deepEqual(parseIp('::'), new Uint8Array(16));
    assert.equal(
      Buffer.from(parseIp('1:2:3::7:8') ?? []).toString('hex'),
      `${'0001000200030000'.padEnd(24, '0')}00070008`,
    );
    const network = parseIpNetwork('10.0.0.0/9');
    assert.ok(network !== null && isInNetwork(new Uint8Array([10, 127, 0, 0]), network));
    assert.equal(isInNetwork(new Uint8Array(16), network), false);
  });
});

describe('what cannot be obeyed is refused by line', () => {
  const cases: [line: string, message: RegExp][] = [
    ['hots all all all md5', /unknown connection type "hots"; expected one of local, host/],
    ['include other.conf', /"include" is not supported/],
    ['include_dir conf.d', /"include_dir" is not supported/],
    ['host all', /expected database, user, address, method/],
    ['host all all all', /expected database, user, address, method/],
    ['local all all', /expected database, user, method/],
    ['host all all 10.0.0.0 md5', /"10.0.0.0" needs a prefix length \(10.0.0.0\/32\) or a mask/],
    ['host all all 10.0.0.0 255.0.255.0 md5', /needs a prefix length/],
    ['host all all 10.0.0.0 ffff:: md5', /needs a prefix length/],
    ['host all all 10.0.0.0/99 md5', /is not an address with a prefix length/],
    ['host all all db.example.com md5', /host names are not supported/],
    ['host all all .example.com md5', /host names are not supported/],
    ['host all all 10.0.0.0/8,11.0.0.0/8 md5', /one address is allowed/],
    ['host all all all gss', /method "gss" is not supported; expected one of trust, reject/],
    ['host all all all pam', /method "pam" is not supported/],
    ['host all all all radius radiusservers="a"', /method "radius" is not supported/],
    ['host all all all peer', /method "peer" is for "local" rules only/],
    ['host all all all cert', /method "cert" is for "hostssl" rules only/],
    ['local all all cert', /method "cert" is for "hostssl" rules only/],
    ['host +admins all all md5', /"\+admins": only users are in groups/],
    ['host all + all md5', /"\+" needs the name of a role/],
    ['host /^db all all md5', /regular expressions are not supported/],
    ['host all /^a$ all md5', /regular expressions are not supported/],
    ['host all all all md5 clientcert=verify-ca', /clientcert is for "hostssl" rules only/],
    ['hostssl all all all cert clientcert=verify-ca', /goes with clientcert=verify-full only/],
    ['hostssl all all all md5 clientcert=1', /option "clientcert=1" is not supported/],
    ['hostssl all all all md5 map=m', /option "map=m" is not supported with method "md5"/],
    ['host all all all md5 anything', /option "anything" is not supported/],
    ['host "all all all md5', /a quote is not closed/],
  ];
  for (const [line, message] of cases) {
    it(line, () => {
      const { rules, problems } = read(`# first\n${line}\nlocal all all trust\n`);
      assert.equal(problems.length, 1);
      assert.deepEqual([problems[0].file, problems[0].line], ['pg_hba.conf', 2]);
      assert.match(problems[0].message, message);
      // The others are still read, so that all mistakes are told at once.
      assert.deepEqual(
        rules.map(({ line: at }) => at),
        [3],
      );
    });
  }

  it('quoted, the same words are names', () => {
    const [rule] = rulesOf('host "+admins","/x","samerole" "+ann" all md5');
    assert.deepEqual(
      rule.databases.map((name) => name.kind),
      ['name', 'name', 'name'],
    );
    assert.deepEqual(rule.users, [{ kind: 'name', name: '+ann' }]);
  });

  it('a very long line and many lines end in time', () => {
    assert.equal(read(`host all ${'a,'.repeat(100_000)} all md5`).problems.length, 1);
    assert.equal(rulesOf('host all all all md5\n'.repeat(20_000)).length, 20_000);
    assert.equal(read('\\\n'.repeat(50_000)).rules.length, 0);
  });
});

it('options: certificates and maps', () => {
  const [first, second, third, fourth] = rulesOf(
    [
      'hostssl all all all md5 clientcert=verify-ca',
      'hostssl all all all scram-sha-256 clientcert=verify-full clientname=DN',
      'hostssl all all all cert map=m clientname=CN',
      'local all all peer map="m 2"',
    ].join('\n'),
  );
  assert.deepEqual([first.clientCert, first.clientName, first.map], ['verify-ca', 'CN', '']);
  assert.deepEqual([second.clientCert, second.clientName], ['verify-full', 'DN']);
  assert.deepEqual([third.clientCert, third.map], ['verify-full', 'm']);
  assert.deepEqual([fourth.method, fourth.map], ['peer', 'm 2']);
});

it('refusals read as on Postgres', () => {
  const text = (subject: Partial<HbaSubject>, isRejected = false) =>
    hbaRefusal({ ...SUBJECT, ...subject }, isRejected);
  assert.equal(
    text({}),
    'no pg_hba.conf entry for host "10.1.2.3", user "ann", database "shop", no encryption',
  );
  assert.equal(
    text({ isTls: true }, true),
    'pg_hba.conf rejects connection for host "10.1.2.3", user "ann", database "shop", SSL encryption',
  );
  assert.equal(
    text({ address: null }),
    'no pg_hba.conf entry for host "[local]", user "ann", database "shop", no encryption',
  );
  assert.equal(
    text({ isReplication: true }),
    'no pg_hba.conf entry for replication connection from host "10.1.2.3", user "ann", no encryption',
  );
  assert.equal(
    text({ isReplication: true }, true),
    'pg_hba.conf rejects replication connection for host "10.1.2.3", user "ann", no encryption',
  );
});

it('ident maps: names, all, and no guesses', () => {
  const { mappings, problems } = parseIdentMap(
    'pg_ident.conf',
    '# map system database\nm root postgres\nm "o\'brien x" ann\nops root all\nquoted x "all"\n',
  );
  assert.deepEqual(problems, []);
  const cases: [map: string, system: string, user: string, may: boolean][] = [
    ['m', 'root', 'postgres', true],
    ['m', 'root', 'ann', false],
    ['m', "o'brien x", 'ann', true],
    ['ops', 'root', 'anybody', true],
    ['ops', 'ann', 'ann', false],
    ['quoted', 'x', 'y', false],
    ['quoted', 'x', 'all', true],
    ['', 'ann', 'ann', true],
    ['', 'root', 'postgres', false],
    ['unknown', 'ann', 'ann', false],
  ];
  for (const [map, system, user, may] of cases) {
    assert.equal(isMappedUser(mappings, map, system, user), may, `${map} ${system} ${user}`);
  }
  const bad = ['m a', 'm a b c', 'm a,b c', 'm /^a b', 'm a +b', 'm a /b', 'include x', 'm "a b'];
  const found = parseIdentMap('pg_ident.conf', bad.join('\n')).problems;
  assert.deepEqual(
    found.map(({ line }) => line),
    bad.map((_, index) => index + 1),
  );
});
