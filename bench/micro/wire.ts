/** Writing frames: the messages that the proxy makes itself. */
import { FrameWriter } from '@pgdog-cluster/core';
import { type MicroResult, timeOperations } from './time-operations.js';

const READY_FOR_QUERY = 0x5a;
const DATA_ROW = 0x44;
const PARSE = 0x50;

function readyForQuery(count: number): number {
  const writer = new FrameWriter();
  let hash = 0;
  for (let i = 0; i < count; i++) {
    writer.reset().begin(READY_FOR_QUERY).byte(0x49).end();
    hash = (Math.imul(hash, 31) + writer.length) | 0;
  }
  return hash;
}

function dataRow(count: number): number {
  const writer = new FrameWriter();
  let hash = 0;
  for (let i = 0; i < count; i++) {
    writer.reset().begin(DATA_ROW).int16(3).value('4711').value(null).value('some text of a row').end();
    hash = (Math.imul(hash, 31) + writer.view()[4]) | 0;
  }
  return hash;
}

function parse(count: number): number {
  const sql = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1';
  const writer = new FrameWriter();
  let hash = 0;
  for (let i = 0; i < count; i++) {
    writer.reset().begin(PARSE).cstring('statement_17').cstring(sql).int16(0).end();
    hash = (Math.imul(hash, 31) + writer.length) | 0;
  }
  return hash;
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  return [
    timeOperations('FrameWriter: ReadyForQuery', quick, readyForQuery),
    timeOperations('FrameWriter: DataRow of three values', quick, dataRow),
    timeOperations('FrameWriter: Parse', quick, parse),
  ];
}
