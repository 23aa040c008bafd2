/** Channel binding on both sides, and what a proof tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  deriveScramKeys,
  deriveVerifier,
  type ScramClient,
  ScramServer,
  type ScramServerOptions,
} from '@pgdog-cluster/core';
import { PasswordClient } from '../support/password-client.js';

const utf8 = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const MECHANISM = 'SCRAM-SHA-256';

function continued(
  step: ReturnType<ScramServer['handleResponse']> | ReturnType<ScramClient['handleFinal']>,
): Uint8Array {
  assert.ok(step.kind === 'continue', step.kind === 'failure' ? step.error.message : step.kind);
  return step.data;
}

const PLUS = 'SCRAM-SHA-256-PLUS';
const HASH = new Uint8Array(32).fill(9);
const serverOf = (options: Partial<ScramServerOptions>) =>
  new ScramServer({ user: 'u', verifiers: [deriveVerifier('p', 1, new Uint8Array(16))], ...options });

/** How a whole exchange with bindings on both sides ends. */
function boundExchange(client: ScramClient, server: ScramServer): string {
  const first = server.handleInitialResponse(client.mechanism, client.start());
  if (first.kind === 'failure') return `${first.error.sqlstate} at first`;
  const last = server.handleResponse(continued(client.handleContinue(continued(first))));
  if (last.kind === 'failure') return `${last.error.sqlstate} at last`;
  return client.handleFinal(last.data).kind;
}

test('channel binding: used where both have it, and only where the hashes agree', () => {
  const both = [PLUS, MECHANISM];
  const bound = new PasswordClient('p', { mechanisms: both, endPointHash: HASH });
  assert.equal(bound.mechanism, PLUS);
  assert.ok(text(bound.start()).startsWith('p=tls-server-end-point,,n=,r='));
  assert.equal(boundExchange(bound, serverOf({ endPointHash: HASH })), 'success');
  const other = new PasswordClient('p', { mechanisms: both, endPointHash: new Uint8Array(32) });
  assert.equal(boundExchange(other, serverOf({ endPointHash: HASH })), '28000 at last');
  const cut = new PasswordClient('p', { mechanisms: both, endPointHash: HASH.slice(1) });
  assert.equal(boundExchange(cut, serverOf({ endPointHash: HASH })), '28000 at last');
  // Without TLS on our side PLUS was never offered.
  const alone = new PasswordClient('p', { mechanisms: both, endPointHash: HASH });
  assert.equal(boundExchange(alone, serverOf({ endPointHash: null })), '08P01 at first');
  // A client without TLS information takes the plain mechanism.
  const plain = new PasswordClient('p', { mechanisms: both });
  assert.equal(plain.mechanism, MECHANISM);
  assert.equal(boundExchange(plain, serverOf({ endPointHash: HASH })), 'success');
});

test('channel binding: an offer that got lost on the way is a refusal (downgrade)', () => {
  // The client could bind and saw no PLUS: it says "y".
  const misled = () => new PasswordClient('p', { mechanisms: [MECHANISM], endPointHash: HASH });
  assert.ok(text(misled().start()).startsWith('y,,'));
  assert.equal(boundExchange(misled(), serverOf({ endPointHash: HASH })), '28000 at first');
  assert.equal(boundExchange(misled(), serverOf({ endPointHash: null })), 'success');
});

test('channel binding: flag, mechanism and data have to fit each other', () => {
  const start = (mechanism: string, flag: string) => {
    const step = serverOf({ endPointHash: HASH }).handleInitialResponse(mechanism, utf8(`${flag},,n=,r=a`));
    return step.kind === 'failure' ? step.error.sqlstate : step.kind;
  };
  const cases: [mechanism: string, flag: string, outcome: string][] = [
    [PLUS, 'p=tls-server-end-point', 'continue'],
    [PLUS, 'p=tls-unique', '08P01'],
    [PLUS, 'p=tls-exporter', '08P01'],
    [PLUS, 'p=', '08P01'],
    [PLUS, 'n', '08P01'],
    [PLUS, 'y', '08P01'],
    [MECHANISM, 'n', 'continue'],
    [MECHANISM, 'y', '28000'],
    [MECHANISM, 'p=tls-server-end-point', '08P01'],
    [MECHANISM, 'P=tls-server-end-point', '08P01'],
  ];
  for (const [mechanism, flag, outcome] of cases) {
    assert.equal(start(mechanism, flag), outcome, `${mechanism} ${flag}`);
  }
  const final = (change: (message: string) => string) => {
    const client = new PasswordClient('p', { mechanisms: [PLUS], endPointHash: HASH });
    const server = serverOf({ endPointHash: HASH });
    const challenge = continued(server.handleInitialResponse(PLUS, client.start()));
    const step = server.handleResponse(utf8(change(text(continued(client.handleContinue(challenge))))));
    return step.kind === 'failure' ? step.error.sqlstate : step.kind;
  };
  const header = Buffer.from('p=tls-server-end-point,,').toString('base64');
  assert.equal(
    final((message) => message),
    'success',
  );
  assert.equal(
    final((message) => message.replace(/c=[^,]*/, 'c=biws')),
    '28000',
  );
  assert.equal(
    final((message) => message.replace(/c=[^,]*/, `c=${header}`)),
    '28000',
  );
  assert.equal(
    final((message) => message.replace(/c=[^,]*/, 'c=')),
    '28000',
  );
});

test('a proof tells the client key, of a right password only', () => {
  const salt = new Uint8Array(16).fill(3);
  const verifiers = [deriveVerifier('old', 2, salt), deriveVerifier('fresh', 2, salt)];
  const login = (password: string, isMock = false) => {
    const server = new ScramServer({ user: 'u', verifiers, isMock });
    const client = new PasswordClient(password);
    const first = continued(server.handleInitialResponse(MECHANISM, client.start()));
    server.handleResponse(continued(client.handleContinue(first)));
    return server.proven;
  };
  const proven = login('fresh');
  assert.deepEqual(proven?.verifier, verifiers[1]);
  assert.deepEqual(
    new Uint8Array(proven?.clientKey ?? []),
    new Uint8Array(deriveScramKeys('fresh', salt, 2).clientKey),
  );
  assert.equal(login('wrong'), null);
  assert.equal(login('fresh', true), null);
});
