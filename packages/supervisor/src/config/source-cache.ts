import { readFileSync, statSync } from 'node:fs';
import { SourceRows, type SourceTable } from '@pgdog-cluster/core/config';
import { DraftFile } from './draft-file.js';

/** Twice what is read of a source, for escapes. */
const FILE_BYTES_MAX = 128 * 1024 * 1024;
const VERSION = 1;

/** Throws as the system does. */
export function writeSourceCache(path: string, rows: SourceRows): void {
  const { identity, atMs, digest } = rows;
  DraftFile.write(
    path,
    JSON.stringify({ version: VERSION, identity, atMs, digest, ...rows.reveal() }),
  ).keep();
}

function isTable(value: unknown): value is SourceTable {
  if (typeof value !== 'object' || value === null || !('columns' in value) || !('rows' in value))
    return false;
  const { columns, rows } = value;
  return (
    Array.isArray(columns) &&
    columns.every((name) => typeof name === 'string') &&
    Array.isArray(rows) &&
    rows.every((row) => Array.isArray(row) && row.length === columns.length)
  );
}

/** What was read last from that source. Throws with the reason why it is of no use. */
export function readSourceCache(path: string, identity: string): SourceRows {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error('there is no copy of it yet');
  if (!stat.isFile() || stat.size > FILE_BYTES_MAX) throw new Error('its copy is no file of ours');
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'it is damaged';
    throw new Error(`its copy cannot be read: ${reason}`);
  }
  const { version, atMs, digest, databases, users } = read ?? {};
  const isOurs = version === VERSION && typeof atMs === 'number' && typeof digest === 'string';
  if (!isOurs || !isTable(databases) || !isTable(users))
    throw new Error('its copy cannot be read: it is damaged');
  if (read.identity !== identity) throw new Error('its copy is of another source, or of other queries');
  return new SourceRows({ databases, users }, { identity, atMs, digest });
}
