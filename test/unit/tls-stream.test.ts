/** The filter by itself: cuts at every offset, what is forged, what is broken off, what is scarce. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { type CertificateOptions, type SubjectParts, testAuthority } from '../support/certificates.js';
import { clientsSettings, serversSettings } from '../support/tls-settings.js';
import { randomFrom } from './io-fixture.js';
import { MemoryPair, NOTHING_LEFT } from './tls-fixture.js';

const authority = testAuthority();
const own = authority.issue({ subject: [['CN', 'localhost']], names: ['localhost'] });
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

function makePair(version: (typeof VERSIONS)[number] = 'TLSv1.3', bigCount = 64): MemoryPair {
  const terms = { versionMin: version, versionMax: version };
  return new MemoryPair(clientsSettings(own, { terms }), serversSettings('require'), { bigCount });
}

for (const version of VERSIONS) {
  // Every third one, each at some time: PGDOG_TEST_LONG=1 tries them all at once.
  const step = process.env['PGDOG_TEST_LONG'] === '1' ? 1 : 3;
  const first = 1 + randomInt(step);
  test(`${version}: handshake and data, cut at offset ${first}, ${first + step}, ... of the client's bytes`, () => {
    let isOver = false;
    for (let offset = first; !isOver; offset += step) {
      const pair = makePair(version);
      let seen = 0;
      const cut = (bytes: Buffer): Buffer[] => {
        const at = offset - seen;
        seen += bytes.length;
        return at > 0 && at < bytes.length ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes];
      };
      pair.client.filter.start();
      pair.talk(cut);
      for (let round = 0; round < 3; round++) {
        pair.client.send(`request ${round} `);
        pair.server.send(`reply ${round} `.repeat(9));
        pair.talk(cut);
      }
      assert.equal(pair.server.text, 'request 0 request 1 request 2 ', `offset ${offset}`);
      assert.equal(pair.client.text.length, 3 * 9 * 8, `offset ${offset}`);
      isOver = offset > seen;
      assert.deepEqual(pair.end(), NOTHING_LEFT);
    }
  });

  test(`${version}: one byte at a time`, () => {
    const pair = makePair(version);
    const single = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));
    pair.client.filter.start();
    pair.talk(single);
    pair.client.send('hello');
    pair.server.send('x'.repeat(3000));
    pair.talk(single);
    assert.equal(pair.server.text, 'hello');
    assert.equal(pair.client.text, 'x'.repeat(3000));
    assert.deepEqual(pair.end(), NOTHING_LEFT);
  });

  test(`${version}: each forged byte ends the stream, and nothing forged is delivered`, () => {
    const random = randomFrom(11);
    for (let round = 0; round < 60; round++) {
      const pair = makePair(version);
      pair.shake();
      pair.client.send('first');
      const good = pair.client.take();
      pair.client.send('second');
      const forged = pair.client.take();
      const at = random(forged.length);
      forged[at] ^= 1 << random(8);
      pair.server.give(Buffer.concat([good, forged]));
      // A length that grew makes the record wait for bytes that never come.
      const isWaiting = at === 3 || at === 4;
      assert.ok(isWaiting || pair.server.failures.length === 1, `byte ${at}: ${pair.server.failures}`);
      assert.equal(pair.server.text, 'first', `byte ${at}`);
      pair.server.send('too late');
      assert.deepEqual(pair.end(), NOTHING_LEFT);
    }
  });
}

test('many small records in one buffer arrive as one chunk, in order', () => {
  const pair = makePair();
  pair.shake();
  const wires: Buffer[] = [];
  for (let n = 0; n < 100; n++) {
    pair.client.send(`<${n}>`);
    wires.push(pair.client.take());
  }
  pair.server.give(Buffer.concat(wires));
  assert.equal(pair.server.chunks.length, 1);
  assert.equal(pair.server.text, Array.from({ length: 100 }, (_, n) => `<${n}>`).join(''));
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('what is sent in one turn is one record where it fits', () => {
  const pair = makePair();
  pair.shake();
  for (let n = 0; n < 50; n++) pair.client.send('0123456789');
  // 5 of header, 1 of type, 16 of tag.
  assert.equal(pair.client.take().length, 500 + 22);
  pair.client.send('a');
  pair.client.send('b'.repeat(9000));
  pair.client.send('c');
  assert.equal(pair.client.take().length, 9002 + 22);
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('a goodbye is an orderly end, and we can still speak; ours ends the other side', () => {
  const pair = makePair();
  pair.shake();
  pair.client.send('last words');
  pair.client.filter.flush();
  pair.client.filter.finish();
  pair.client.filter.finish();
  pair.server.give(pair.client.take());
  assert.equal(pair.server.text, 'last words');
  assert.deepEqual(pair.server.ends, [0]);
  assert.deepEqual(pair.server.failures, []);
  pair.server.send('answer');
  pair.client.give(pair.server.take());
  assert.equal(pair.client.text, 'answer');
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('plain bytes in place of TLS fail the handshake, and are never delivered', () => {
  for (const text of [
    'Q\0\0\0\x0dSELECT 1\0',
    '\0\0\0\x08\x04\xd2\x16\x2f',
    'GET / HTTP/1.1\r\n\r\n',
    '\x16\x03\x01\xff\xff',
  ]) {
    const pair = makePair();
    pair.server.give(Buffer.from(text.padEnd(300, '\0'), 'latin1'));
    assert.equal(pair.server.failures.length, 1, text);
    assert.equal(pair.server.chunks.length, 0);
    assert.deepEqual(pair.end(), NOTHING_LEFT);
  }
});

test('nothing leaves before the handshake is done, in whatever form', () => {
  const pair = makePair();
  pair.server.send('secret');
  pair.client.send('secret');
  assert.equal(pair.server.take().length, 0);
  pair.shake();
  assert.equal(pair.server.text, '');
  assert.equal(pair.client.text, '');
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('without free memory received bytes are held, in order, and go on when there is some', () => {
  const pair = makePair('TLSv1.3', 32);
  pair.shake();
  const text = Array.from({ length: 9000 }, (_, n) => `${n},`).join('');
  pair.client.send(text);
  const wire = pair.client.take();
  const taken: number[] = [];
  const half = 20_000;
  pair.server.give(wire.subarray(0, half));
  // A record that straddles buffers needs one of its own: none is left but the reserve.
  for (let buffer = pair.memory.allocateBigAboveReserve(); buffer >= 0; ) {
    taken.push(buffer);
    buffer = pair.memory.allocateBigAboveReserve();
  }
  const last = taken.pop() ?? -1;
  pair.memory.release(last);
  const start = pair.memory.start(last);
  const own = pair.memory.allocateBig();
  assert.equal(own, last);
  pair.memory.bytes.set(wire.subarray(half, half + 16_384), start);
  pair.server.filter.receive(own, start, start + 16_384);
  // The buffer it came in has been given back: that one is enough to go on, one by one.
  pair.server.filter.flush();
  for (const buffer of taken) pair.memory.release(buffer);
  pair.server.give(wire.subarray(half + 16_384));
  for (let turn = 0; turn < 5; turn++) pair.server.filter.flush();
  assert.equal(pair.server.text, text);
  assert.equal(pair.server.pauses.size, 0);
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('freed by its owner in the middle of a delivery', () => {
  const pair = makePair();
  pair.shake();
  pair.client.send('x'.repeat(100_000));
  const wire = pair.client.take();
  pair.server.onChunk = () => pair.server.filter.free();
  pair.server.give(wire);
  assert.equal(pair.server.chunks.length, 1);
  assert.deepEqual(pair.server.failures, []);
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('refusals name the certificate, the name and the rule', () => {
  const wrong = testAuthority('strangers');
  const cases: [mode: 'verify_ca' | 'verify_full', ca: string, host: string, message: RegExp][] = [
    [
      'verify_ca',
      wrong.certificate,
      'localhost',
      /^certificate "CN=localhost" refused: unable to get local issuer/,
    ],
    [
      'verify_full',
      authority.certificate,
      'other.example',
      /^certificate "CN=localhost" refused, wanted for "other\.example": hostname mismatch/,
    ],
    ['verify_full', authority.certificate, '10.0.0.1', /wanted for "10\.0\.0\.1": IP address mismatch/],
  ];
  for (const [mode, ca, host, message] of cases) {
    const pair = new MemoryPair(clientsSettings(own), serversSettings(mode, { ca }), { host });
    pair.shake();
    assert.match(pair.client.failures.join(), message);
    assert.equal(pair.client.infos.length, 0);
    // The alert has told the other side.
    assert.match(pair.server.failures.join(), /alert/);
    assert.deepEqual(pair.end(), NOTHING_LEFT);
  }
});

const VERIFYING: [what: string, options: CertificateOptions, host: string, problem: RegExp | null][] = [
  ['the first common name', { subject: names('db.example', 'other.example') }, 'db.example', null],
  [
    'the second',
    { subject: names('other.example', 'db.example') },
    'db.example',
    /first common name "other.example"/,
  ],
  ['a wildcard in the first', { subject: names('*.db.example', 'x.y') }, 'a.db.example', null],
  [
    'a wildcard for one label',
    { subject: names('*.db.example', 'x.y') },
    'b.a.db.example',
    /hostname mismatch/,
  ],
  ['case does not count', { subject: names('DB.Example', 'x.y') }, 'db.example', null],
  [
    'DNS names in place of all common names',
    { subject: names('x.y', 'y.z'), names: ['db.example'] },
    'db.example',
    null,
  ],
  [
    'no common name beside DNS names',
    { subject: names('db.example'), names: ['x.y'] },
    'db.example',
    /hostname mismatch/,
  ],
  [
    'a zero byte in the common name',
    { subject: names('db.example\0.evil') },
    'db.example',
    /hostname mismatch/,
  ],
  [
    'a zero byte in a common name that does not count',
    { subject: names('db.example\0.evil'), names: ['db.example'] },
    'db.example',
    null,
  ],
  ['a zero byte in a DNS name', { names: ['db.example\0.evil'] }, 'db.example', /hostname mismatch/],
  [
    'a zero byte in another DNS name',
    { names: ['db.example', 'db.example\0.evil'] },
    'db.example',
    /a name beside the certificate's subject holds a zero byte/,
  ],
];

function names(...texts: string[]): SubjectParts {
  return texts.map((text) => ['CN', text]);
}

for (const [what, options, host, problem] of VERIFYING) {
  test(`whose name a server's certificate holds, as libpq has it: ${what}`, () => {
    const one = authority.issue({ subject: names('no.one'), ...options });
    const settings = serversSettings('verify_full', { ca: authority.certificate });
    const pair = new MemoryPair(clientsSettings(one), settings, { host });
    pair.shake();
    if (problem === null) assert.deepEqual(pair.client.failures, []);
    else assert.match(pair.client.failures.join(), problem);
    assert.deepEqual(pair.end(), NOTHING_LEFT);
    // Where nobody asks for the name it does not matter.
    const known = serversSettings('verify_ca', { ca: authority.certificate });
    const other = new MemoryPair(clientsSettings(one), known, { host });
    other.shake();
    assert.deepEqual(other.client.failures, []);
    other.end();
  });
}

test('end point hashes are those of RFC 5929', () => {
  for (const [key, digest] of [
    ['ec', 'sha256'],
    ['rsa', 'sha256'],
    ['rsa-sha1', 'sha256'],
    ['rsa-sha512', 'sha512'],
    ['ed25519', null],
  ] as const) {
    const certificate = testAuthority('hash', key);
    // OpenSSL takes a weak signature only from its own subject.
    const self = key === 'rsa-sha1' ? certificate : certificate.issue({ key, names: ['localhost'] });
    const pair = new MemoryPair(clientsSettings(self), serversSettings('require'));
    pair.shake();
    assert.deepEqual(pair.client.failures, [], key);
    const wanted = digest === null ? null : new Uint8Array(self.endPointHash(digest));
    for (const { infos } of [pair.client, pair.server]) assert.deepEqual(infos[0]?.endPointHash, wanted, key);
    assert.deepEqual(pair.end(), NOTHING_LEFT);
  }
});

test('a verified client certificate is shown to the owner, an unverified server one is not', () => {
  const authorityOfClients = testAuthority('clients');
  const alice = authorityOfClients.issue({
    subject: [
      ['C', 'AT'],
      ['O', 'Äcme, Inc.'],
      ['CN', 'alice'],
    ],
  });
  const pair = new MemoryPair(
    clientsSettings(own, { mode: 'verify-ca', ca: authorityOfClients.certificate }),
    serversSettings('require', { own: alice }),
  );
  pair.shake();
  const peer = pair.server.infos[0]?.peer;
  assert.equal(peer?.commonName, 'alice');
  assert.equal(peer?.subject, 'CN=alice,O=\\C3\\84cme\\, Inc.,C=AT');
  assert.equal(peer?.issuer, 'CN=clients');
  assert.equal(peer?.serial, BigInt(`0x${alice.serial.toString('hex')}`).toString());
  assert.ok(Math.abs((peer?.notAfterMs ?? 0) - Date.now() - 30 * 86_400_000) < 60_000);
  assert.equal(pair.client.infos[0]?.peer, null);
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});

test('contexts: the same settings stay, changed ones are replaced under live connections, bad ones are told', () => {
  const pair = makePair();
  pair.shake();
  const { worker } = pair;
  const before = worker.clients;
  const good = clientsSettings(own);
  const problems: string[] = [];
  const take = (clients: typeof good): void =>
    worker.takeUp({ tls: { clients, servers: [] } }, (what, reason) => problems.push(`${what}: ${reason}`));
  take(good);
  const second = worker.clients;
  assert.notEqual(second, before);
  take({ ...good });
  assert.equal(worker.clients, second);
  take({ ...good, fingerprint: 'broken', privateKey: authority.privateKey });
  assert.equal(worker.clients, second);
  assert.match(problems.join(), /clients: private key: key values mismatch/);
  // The connection of the first settings goes on.
  pair.client.send('still here');
  pair.talk();
  assert.equal(pair.server.text, 'still here');
  assert.deepEqual(pair.end(), NOTHING_LEFT);
});
