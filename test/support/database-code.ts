import type { SqlPlan } from '@pgdog-cluster/core';
import { DatabaseCode } from '@pgdog-cluster/worker';
import pg from 'pg';

/** Body of a DataRow. */
function dataRow(values: readonly (string | null)[]): Buffer {
  const parts: Buffer[] = [Buffer.from([values.length >> 8, values.length & 255])];
  for (const value of values) {
    const size = Buffer.alloc(4);
    size.writeInt32BE(value === null ? -1 : Buffer.byteLength(value));
    parts.push(size, Buffer.from(value ?? ''));
  }
  return Buffer.concat(parts);
}

/** What DatabaseCode makes of a database's catalog, asked over a connection of its own. */
export async function askDatabase(url: string): Promise<DatabaseCode> {
  const code = new DatabaseCode();
  code.wantsAccess = true;
  await askAgain(code, url);
  return code;
}

/** The next question of an object that has asked before. @returns its text */
export async function askAgain(code: DatabaseCode, url: string): Promise<string> {
  const question = code.question(Date.now());
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const results = (await client.query({ text: question.sql, rowMode: 'array' })) as unknown as {
      rows: (string | null)[][];
    }[];
    for (const { rows } of results) {
      for (const row of rows) {
        const bytes = dataRow(row);
        question.onRow?.(bytes, 0, bytes.length);
      }
    }
  } finally {
    await client.end();
  }
  question.onDone();
  return question.sql;
}

/** 'read', 'neutral', or why it is a write. */
export function verdictOf(code: DatabaseCode, { route }: SqlPlan): string {
  return code.mayWrite(route) ?? route.access;
}
