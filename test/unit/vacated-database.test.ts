import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSqlParser, readSql } from '@pgdog-cluster/core';

const parser = await loadSqlParser();

test('statements that need a database nobody is connected to name it', () => {
  for (const [text, database] of [
    ['drop database if exists "A b" with (force)', 'A b'],
    ['alter database Old rename to new', 'old'],
    ['alter database d set tablespace t', 'd'],
    ['create database d with owner o template = "T"', 'T'],
    ['create database d template t', 't'],
  ]) {
    const [{ effect }] = readSql(text, parser).statements;
    assert.deepEqual(effect, { type: 'vacate', database }, text);
  }
  for (const text of [
    'create database d template default',
    'create database d',
    'alter database d with connection limit 3',
    'alter table t rename to u',
    'drop schema d',
  ]) {
    assert.notEqual(readSql(text, parser).statements[0].effect?.type, 'vacate', text);
  }
});
