/** Names out of a certificate's subjectAltName: none may be read that is not there. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { it } from 'node:test';
import { alternativeNames } from '@pgdog-cluster/worker';
import { testAuthority } from '../support/certificates.js';

const authority = testAuthority();
const namesOf = (options: Parameters<typeof authority.issue>[0]): string[] =>
  alternativeNames(new X509Certificate(authority.issue(options).certificate).subjectAltName ?? '');

it('DNS names and URIs, in order; addresses are none', () => {
  const options = { names: ['a.example', 'b'], uris: ['spiffe://c/d?e=f#g'], addresses: ['10.0.0.1', '::1'] };
  assert.deepEqual(namesOf(options), ['a.example', 'b', 'spiffe://c/d?e=f#g']);
  assert.deepEqual(namesOf({}), []);
});

it('what looks like two names, a quote, a backslash, an end: one name each, or none', () => {
  for (const odd of ['a, DNS:admin', 'a", DNS:admin, URI:"', 'a\\", DNS:admin', "it's, DNS:admin", 'a,b']) {
    assert.deepEqual(namesOf({ names: [odd, 'z'] }), [odd, 'z'], odd);
    assert.deepEqual(namesOf({ uris: [odd, 'z'] }), [odd, 'z'], odd);
  }
  assert.deepEqual(namesOf({ names: ['admin\0.evil', 'admin\0', '', 'z'] }), ['z']);
});

it('texts that are none end', () => {
  for (const text of [
    'DNS',
    'DNS:',
    ':',
    ',',
    'DNS:"',
    'DNS:"a',
    'DNS:"\\',
    'DNS:"\\x", DNS:a',
    'a:b, , DNS',
  ])
    assert.deepEqual(alternativeNames(text), [], text);
});
