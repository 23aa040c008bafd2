import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  deriveScramKeys,
  deriveVerifier,
  formatVerifier,
  isMd5Response,
  md5Hash,
  md5Response,
  mockVerifierFor,
  parseMd5Secret,
  parseVerifier,
  type Random,
  readSecretForm,
  type ScramClient,
  ScramKeyCache,
  ScramServer,
  type ScramVerifier,
  SeededRandom,
  saslprep,
} from '@pgdog-cluster/core';
import { PasswordClient } from '../support/password-client.js';

const utf8 = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const base64 = (value: string) => new Uint8Array(Buffer.from(value, 'base64'));
const MECHANISM = 'SCRAM-SHA-256';

/** RFC 7677 section 3. */
const RFC = {
  password: 'pencil',
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: base64('W22ZaJ0SNY7soEsUEjb6gQ=='),
  proof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  signature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

/** Bytes whose base64 is the wanted nonce (the client's one happens to be base64 text). */
const chosen = (nonce: string): Random => ({ bytes: () => base64(nonce), below: () => 0 });

type Step = ReturnType<ScramServer['handleResponse']> | ReturnType<ScramClient['handleFinal']>;

function continued(step: Step): Uint8Array {
  assert.ok(step.kind === 'continue', step.kind === 'failure' ? step.error.message : step.kind);
  return step.data;
}

function failed(step: Step): string {
  assert.ok(step.kind === 'failure', step.kind);
  return step.error.sqlstate;
}

/** A whole exchange between our two halves; how it ended. */
function exchange(password: string, verifiers: ScramVerifier[], isMock = false): string {
  const client = new PasswordClient(password);
  const server = new ScramServer({ user: 'ann', verifiers, isMock });
  const first = continued(server.handleInitialResponse(MECHANISM, client.start()));
  const last = server.handleResponse(continued(client.handleContinue(first)));
  if (last.kind === 'failure') return `${last.error.sqlstate} ${last.error.message}`;
  assert.equal(client.isComplete, false);
  assert.equal(client.handleFinal(last.data).kind, 'success');
  return client.isComplete ? 'success' : 'incomplete';
}

test('RFC 7677: keys give its proof and signature', () => {
  const verifier = deriveVerifier(RFC.password, 4096, RFC.salt);
  const nonce = RFC.clientNonce + RFC.serverNonce;
  const serverFirst = `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
  const authMessage = `n=user,r=${RFC.clientNonce},${serverFirst},c=biws,r=${nonce}`;
  const hmac = (key: Uint8Array) => verifierHmac(key, authMessage);
  const clientSignature = hmac(verifier.storedKey);
  const clientKey = base64(RFC.proof).map((byte, index) => byte ^ clientSignature[index]);
  assert.deepEqual(new Uint8Array(createHash('sha256').update(clientKey).digest()), verifier.storedKey);
  assert.equal(Buffer.from(hmac(verifier.serverKey)).toString('base64'), RFC.signature);
});

function verifierHmac(key: Uint8Array, message: string): Uint8Array {
  // HMAC written out from RFC 2104, so that the check does not lean on the code under test.
  const pad = (value: number) => Buffer.alloc(64).map((_, index) => (key[index] ?? 0) ^ value);
  const inner = createHash('sha256').update(pad(0x36)).update(message).digest();
  return new Uint8Array(createHash('sha256').update(pad(0x5c)).update(inner).digest());
}

test('RFC 7677: the client half answers its challenge and knows its server', () => {
  const verifier = deriveVerifier(RFC.password, 4096, RFC.salt);
  // Our client names no user inside the message, so proof and signature are recomputed by the RFC's formulas.
  const client = new PasswordClient(RFC.password, { random: chosen(RFC.clientNonce) });
  assert.equal(text(client.start()), `n,,n=,r=${RFC.clientNonce}`);
  const final = continued(
    client.handleContinue(utf8(`r=${RFC.clientNonce}${RFC.serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`)),
  );
  const authMessage = `n=,r=${RFC.clientNonce},r=${RFC.clientNonce}${RFC.serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${RFC.clientNonce}${RFC.serverNonce}`;
  const [, , proof] = text(final).split(',');
  const signature = verifierHmac(verifier.storedKey, authMessage);
  const clientKey = base64(proof.slice(2)).map((byte, index) => byte ^ signature[index]);
  assert.deepEqual(new Uint8Array(createHash('sha256').update(clientKey).digest()), verifier.storedKey);
  const good = Buffer.from(verifierHmac(verifier.serverKey, authMessage)).toString('base64');
  assert.equal(client.handleFinal(utf8(`v=${good}`)).kind, 'success');
});

test('exchange: right, wrong, second password of a rotation, mock, other salt', () => {
  const salt = new Uint8Array(16).fill(7);
  const [old, fresh] = [deriveVerifier('old', 4096, salt), deriveVerifier('fresh', 4096, salt)];
  assert.equal(exchange('old', [old, fresh]), 'success');
  assert.equal(exchange('fresh', [old, fresh]), 'success');
  const wrong = '28P01 password authentication failed for user "ann"';
  assert.equal(exchange('other', [old, fresh]), wrong);
  assert.equal(exchange('', [old]), wrong);
  assert.equal(exchange('old', [old], true), wrong);
  assert.equal(exchange('fresh', [old, deriveVerifier('fresh')]), wrong);
  assert.equal(exchange('pÄss\u00a0wörd ✓', [deriveVerifier('pA\u0308ss wo\u0308rd ✓', 1)]), 'success');
  const long = 'x'.repeat(65_536);
  assert.equal(exchange(long, [deriveVerifier(long, 2)]), 'success');
});

test('server: no first data means an empty challenge, other mechanisms and second starts are refused', () => {
  const verifiers = [deriveVerifier('p', 1)];
  const server = new ScramServer({ user: 'u', verifiers });
  assert.equal(continued(server.handleInitialResponse(MECHANISM, null)).length, 0);
  assert.ok(text(continued(server.handleResponse(utf8('n,,n=x,r=abc')))).startsWith('r=abc'));
  assert.equal(failed(server.handleInitialResponse(MECHANISM, utf8('n,,n=x,r=abc'))), '08P01');
  assert.equal(failed(server.handleResponse(utf8('c=biws,r=abc,p=AA=='))), '08P01');
  assert.equal(
    failed(new ScramServer({ user: 'u', verifiers }).handleInitialResponse('SCRAM-SHA-256-PLUS', null)),
    '08P01',
  );
  assert.equal(failed(new ScramServer({ user: 'u', verifiers }).handleResponse(utf8('n,,n=,r=a'))), '08P01');
});

test('server: client-first as RFC 5802 has it, and nothing else', () => {
  const verifiers = [deriveVerifier('p', 1)];
  const start = (message: string | Uint8Array) =>
    new ScramServer({ user: 'u', verifiers }).handleInitialResponse(
      MECHANISM,
      typeof message === 'string' ? utf8(message) : message,
    );
  for (const good of ['n,,n=,r=a', 'y,,n=user,r=~!x', 'n,,n=u,r=a,x=ext'])
    assert.equal(start(good).kind, 'continue', good);
  const refused: [message: string, sqlstate: string][] = [
    ['', '08P01'],
    ['n', '08P01'],
    ['n,', '08P01'],
    ['n,,', '08P01'],
    ['n,,n=', '08P01'],
    ['n,,n=,r=', '08P01'],
    ['n,,n=,r=a b', '08P01'],
    ['n,,n=,r=é', '08P01'],
    ['n,,n=,r=a\0', '08P01'],
    ['n,,r=a,n=u', '08P01'],
    ['x,,n=,r=a', '08P01'],
    ['n,b=,n=,r=a', '08P01'],
    ['n,,n=,r=a,', '08P01'],
    ['n,,n=,r=a,1=x', '08P01'],
    ['p=tls-server-end-point,,n=,r=a', '08P01'],
    ['n,a=admin,n=,r=a', '0A000'],
    ['n,,m=must,n=,r=a', '0A000'],
  ];
  for (const [message, sqlstate] of refused)
    assert.equal(failed(start(message)), sqlstate, JSON.stringify(message));
  assert.equal(failed(start(new Uint8Array([0x6e, 0xff]))), '08P01');
  assert.equal(failed(start(`n,,n=,r=${'a'.repeat(1024)}`)), '08P01');
});

test('server: client-final must repeat binding and nonce and carry a proof of 32 bytes', () => {
  const salt = new Uint8Array(16);
  const verifiers = [deriveVerifier('p', 1, salt)];
  const finalFor = (change: (message: string) => string, flag = 'n') => {
    const client = new PasswordClient('p');
    const server = new ScramServer({ user: 'u', verifiers });
    const first = text(client.start()).replace('n,,', `${flag},,`);
    const challenge = continued(server.handleInitialResponse(MECHANISM, utf8(first)));
    return server.handleResponse(utf8(change(text(continued(client.handleContinue(challenge))))));
  };
  assert.equal(finalFor((message) => message).kind, 'success');
  const changes: ((message: string) => string)[] = [
    () => '',
    (message) => message.replace('c=biws', 'c=eSws'),
    (message) => message.replace('c=biws', 'c='),
    (message) => message.replace(',p=', 'x,p='),
    (message) => message.replace('r=', 'r=x'),
    (message) => message.slice(0, message.lastIndexOf(',')),
    (message) => `${message.slice(0, message.lastIndexOf(','))},p=`,
    (message) => `${message.slice(0, message.lastIndexOf(','))},p=AAAA`,
    (message) => `${message}=`,
    (message) => `${message},x=y`,
    (message) => message.replace(',p=', ',junk,p='),
  ];
  for (const [index, change] of changes.entries())
    assert.equal(failed(finalFor(change)), '08P01', `change ${index}`);
  // With "y" the header to repeat is another one.
  assert.equal(failed(finalFor((message) => message, 'y')), '08P01');
  assert.equal(failed(finalFor((message) => message.replace('c=biws', 'c=eSws'), 'y')), '28P01');
  // An extension that the proof does not cover.
  assert.equal(failed(finalFor((message) => message.replace(',p=', ',x=y,p='))), '28P01');
});

test('every message cut at each offset fails, and never throws', () => {
  const verifiers = [deriveVerifier('p', 1)];
  const client = new PasswordClient('p');
  const first = client.start();
  for (let cut = 0; cut < first.length; cut += 1) {
    const step = new ScramServer({ user: 'u', verifiers }).handleInitialResponse(
      MECHANISM,
      first.slice(0, cut),
    );
    // From the first byte of the nonce on it is just a shorter nonce.
    assert.equal(step.kind, cut <= 'n,,n=,r='.length ? 'failure' : 'continue', `${cut}`);
  }
  const random = new SeededRandom(3);
  const challenge = `r=${Buffer.from(new SeededRandom(4).bytes(18)).toString('base64')}srv,s=AAAA,i=12`;
  for (let cut = 0; cut < challenge.length - 1; cut += 1) {
    const victim = new PasswordClient('p', { random: new SeededRandom(4) });
    victim.start();
    assert.equal(failed(victim.handleContinue(utf8(challenge.slice(0, cut)))), '58000', `${cut}`);
  }
  for (let round = 0; round < 500; round += 1) {
    const noise = random.bytes(random.below(80));
    assert.equal(
      failed(new ScramServer({ user: 'u', verifiers }).handleInitialResponse(MECHANISM, noise)),
      '08P01',
    );
  }
});

test('client: a hostile server gets no proof and burns no CPU', () => {
  const ours = Buffer.from(new SeededRandom(4).bytes(18)).toString('base64');
  const answer = (message: string) => {
    const client = new PasswordClient('p', { random: new SeededRandom(4) });
    client.start();
    return client.handleContinue(utf8(message));
  };
  assert.equal(answer(`r=${ours}x,s=AAAA,i=1`).kind, 'continue');
  assert.equal(answer(`r=${ours}x,s=AAAA,i=1,x=ext`).kind, 'continue');
  const started = performance.now();
  for (const message of [
    '',
    `r=${ours},s=AAAA,i=1`,
    'r=stranger,s=AAAA,i=1',
    `r=${ours}${'n'.repeat(1024)},s=AAAA,i=1`,
    `r=${ours}${'n'.repeat(65_536)},s=AAAA,i=1`,
    `r=${ours}x,s=,i=1`,
    `r=${ours}x,s=A,i=1`,
    `r=${ours}x,s=${'AAAA'.repeat(400)},i=1`,
    `r=${ours}x,i=1`,
    `r=${ours}x,s=AAAA`,
    ...['0', '-1', '100001', '2147483647', '4294967297', '1e3', '', ' 1', '99999999999'].map(
      (i) => `r=${ours}x,s=AAAA,i=${i}`,
    ),
    `m=ext,r=${ours}x,s=AAAA,i=1`,
  ]) {
    assert.equal(failed(answer(message)), '58000', message.slice(0, 60));
  }
  assert.ok(performance.now() - started < 30_000, 'thousands of millions of iterations take half an hour');
});

test('client: a server that does not know the password is found out', () => {
  const verifiers = [deriveVerifier('p', 1)];
  for (const final of [
    '',
    'v=',
    'v=AAAA',
    `v=${Buffer.alloc(32).toString('base64')}`,
    'e=invalid-proof',
    'x=y',
  ]) {
    const client = new PasswordClient('p');
    const server = new ScramServer({ user: 'u', verifiers });
    continued(client.handleContinue(continued(server.handleInitialResponse(MECHANISM, client.start()))));
    assert.equal(failed(client.handleFinal(utf8(final))), '58000', final);
    assert.equal(client.isComplete, false);
  }
  const early = new PasswordClient('p');
  early.start();
  assert.equal(failed(early.handleFinal(utf8(`v=${''}`))), '58000');
  assert.equal(failed(new PasswordClient('p').handleContinue(utf8('r=x,s=AAAA,i=1'))), '58000');
});

test('key cache: bounded, the least used go, silent about what it holds', () => {
  const cache = new ScramKeyCache(2);
  const salt = new Uint8Array(16);
  const name = (password: string, iterations = 10) => cache.nameOf(password, salt, iterations);
  const keys = deriveScramKeys('secretword', salt, 10);
  assert.equal(cache.get(name('secretword')), undefined);
  cache.put(name('secretword'), keys);
  assert.equal(cache.get(name('secretword')), keys);
  const names = [name('secretword'), name('secretword', 11), name('secretwor'), cache.nameOf('', salt, 10)];
  // What one field lends the next must not make two questions one.
  names.push(cache.nameOf('\0secretword', salt.slice(1), 10));
  assert.equal(new Set(names).size, names.length);
  cache.put(name('other'), keys);
  assert.equal(cache.get(name('secretword')), keys);
  cache.put(name('third'), keys);
  assert.equal(cache.get(name('other')), undefined);
  assert.equal(cache.get(name('secretword')), keys);
  assert.equal(cache.size, 2);
  assert.notEqual(new ScramKeyCache().nameOf('secretword', salt, 10), name('secretword'));
  assert.equal(name('secretword').includes('secretword'), false);
  assert.equal(inspect(cache, { depth: 9, showHidden: true }).includes('secretword'), false);
});

test('forms of a secret: hashes by their looks, and nothing that only begins like one', () => {
  const verifier = formatVerifier(deriveVerifier('p', 1));
  assert.equal(readSecretForm(verifier).kind, 'scram');
  assert.deepEqual(readSecretForm(`md5${'A'.repeat(32)}`), { kind: 'md5', hash: 'a'.repeat(32) });
  assert.deepEqual(readSecretForm('md5 of something'), { kind: 'clear', password: 'md5 of something' });
  assert.deepEqual(readSecretForm('SCRAM-SHA-256'), { kind: 'clear', password: 'SCRAM-SHA-256' });
  for (const bad of ['SCRAM-SHA-256$', verifier.slice(0, -1), `${verifier} `]) {
    assert.deepEqual(readSecretForm(bad), { kind: 'malformed' }, bad);
  }
});

test('verifiers there and back; malformed ones refused', () => {
  const verifier = deriveVerifier('pencil', 4096, RFC.salt);
  const written = formatVerifier(verifier);
  assert.equal(
    written,
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  assert.deepEqual(parseVerifier(written), verifier);
  assert.notDeepEqual(deriveVerifier('pencil', 1).salt, deriveVerifier('pencil', 1).salt);
  const key = Buffer.alloc(32).toString('base64');
  for (const bad of [
    '',
    'SCRAM-SHA-256$',
    'md5x',
    `SCRAM-SHA-256$0:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$x:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$1:$${key}:${key}`,
    `SCRAM-SHA-256$1:AAAA$${key}`,
    `SCRAM-SHA-256$1:AAAA$AAAA:${key}`,
    `SCRAM-SHA-256$1:AAAA$${key}:${key}$`,
    `SCRAM-SHA-256$1:AAAA$${key}:${key}:`,
    `SCRAM-SHA-1$1:AAAA$${key}:${key}`,
  ]) {
    assert.equal(parseVerifier(bad), null, bad);
  }
});

test('strangers have a salt each, always the same one', () => {
  const mock = deriveVerifier('nobody knows', 4096);
  const ann = mockVerifierFor('ann', mock);
  assert.deepEqual(ann, mockVerifierFor('ann', mock));
  assert.notDeepEqual(ann.salt, mockVerifierFor('bob', mock).salt);
  assert.deepEqual([ann.salt.length, ann.iterations], [16, 4096]);
});

test('SASLprep: RFC 4013 examples, and what it refuses stays as it is', () => {
  const cases: [given: string, prepared: string][] = [
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['a\u00a0b\u3000c\u200bd', 'a b c d'],
    ['A\u030a', '\u00c5'],
    ['\u0627\u0628', '\u0627\u0628'],
    // Refused, hence raw: control, mixed direction, nothing left, private use, unassigned in Unicode 3.2.
    ['\u0007', '\u0007'],
    ['\u0627\u00aa1', '\u0627\u00aa1'],
    ['\u0627\u00aa', '\u0627\u00aa'],
    ['\u00ad', '\u00ad'],
    ['\u00aa\ue000', '\u00aa\ue000'],
    ['\u00aa\u{1f600}', '\u00aa\u{1f600}'],
    ['\u00aa\u0221', '\u00aa\u0221'],
  ];
  for (const [given, prepared] of cases) assert.equal(saslprep(given), prepared, JSON.stringify(given));
});

test('md5: known hash, salted response, one of several, and nothing else', () => {
  // As Postgres stores it for this user and password.
  assert.equal(md5Hash('postgres', 'postgres'), '3175bce1d3201d16594cebf9d7eb3f9d');
  const salt = new Uint8Array([1, 2, 3, 4]);
  const hash = md5Hash('secret', 'ann');
  const response = md5Response(hash, salt);
  const expected = createHash('md5').update(`${hash}\x01\x02\x03\x04`, 'latin1').digest('hex');
  assert.equal(response, `md5${expected}`);
  assert.equal(isMd5Response([md5Hash('old', 'ann'), hash], salt, response), true);
  assert.equal(isMd5Response([hash, md5Hash('old', 'ann')], salt, response), true);
  assert.equal(isMd5Response([], salt, response), false);
  assert.equal(isMd5Response([hash], new Uint8Array([1, 2, 3, 5]), response), false);
  for (const bad of [
    '',
    'md5',
    response.slice(0, -1),
    `${response}0`,
    response.toUpperCase(),
    'x'.repeat(65_536),
    hash,
    `\u016d${response.slice(1)}`,
  ]) {
    assert.equal(isMd5Response([hash], salt, bad), false, bad.slice(0, 50));
  }
  assert.equal(parseMd5Secret(`md5${hash}`), hash);
  assert.equal(parseMd5Secret(`md5${hash.toUpperCase()}`), hash);
  for (const bad of ['', hash, `md5${hash}0`, `md5${hash.slice(1)}g`, `MD5${hash}`])
    assert.equal(parseMd5Secret(bad), null, bad);
});
