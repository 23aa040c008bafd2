/** The start-up parameter `replication`, against what a real Postgres says of each value (replication.test.ts asks one). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseReplication } from '@pgdog-cluster/core';

describe('parseReplication', () => {
  it('unique beginnings of booleans, in either case', () => {
    for (const value of ['true', 'TRUE', 't', 'tr', 'yes', 'Y', 'on', 'ON', '1']) {
      assert.equal(parseReplication(value), 'physical', value);
    }
    for (const value of ['false', 'F', 'fal', 'no', 'N', 'off', 'of', 'OFF', '0']) {
      assert.equal(parseReplication(value), 'none', value);
    }
  });

  it('database, in lower case only', () => {
    assert.equal(parseReplication('database'), 'logical');
    for (const value of ['DATABASE', 'data', 'databases']) assert.equal(parseReplication(value), null, value);
  });

  it('refuses the rest', () => {
    for (const value of ['', 'o', 'O', 'maybe', 'truer', 'ono', '2', '10', '00', ' true', 'true ', 'yess']) {
      assert.equal(parseReplication(value), null, value);
    }
  });
});
