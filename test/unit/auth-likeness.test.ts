/** How strangers look: as often one way or the other as the users do. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { deriveVerifier } from '@pgdog-cluster/core';
import { likenessesOf } from '@pgdog-cluster/worker';

const MOCK = { iterations: 4096 };
const none = { verifiers: [], md5Hashes: [], passwordTags: [] };
const md5 = { ...none, md5Hashes: ['x'] };
const scram = (iterations: number) => ({ ...none, verifiers: [deriveVerifier('x', iterations)] });

it('one look when all are alike, none when there are none, all of them in order when they differ', () => {
  assert.deepEqual(likenessesOf([], MOCK), []);
  assert.deepEqual(likenessesOf([none], MOCK), [], 'who has no secret looks like nobody');
  assert.deepEqual(likenessesOf([md5, none, md5], MOCK), [{ isMd5: true, iterations: 4096 }]);
  assert.deepEqual(likenessesOf([scram(9), scram(9)], MOCK), [{ isMd5: false, iterations: 9 }]);
  assert.deepEqual(likenessesOf([md5, scram(9), scram(5), scram(9)], MOCK), [
    { isMd5: false, iterations: 5 },
    { isMd5: false, iterations: 9 },
    { isMd5: false, iterations: 9 },
    { isMd5: true, iterations: 4096 },
  ]);
});
