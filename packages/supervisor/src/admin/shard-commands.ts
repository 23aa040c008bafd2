import { buildResult, PgDogError } from '@pgdog-cluster/core';
import type { CommandCall } from './command-table.js';

/** SETUP SCHEMA [database]: a row for each shard, and one for each warning. */
export async function runSetup({ context, tokens }: CommandCall): Promise<Uint8Array> {
  const [, what, name, ...rest] = tokens;
  const isName = name === undefined || name.kind === 'word' || name.kind === 'quoted';
  if (what?.text !== 'schema' || !isName || rest.length > 0) throw new PgDogError('admin_syntax');
  const lines = await context.orders.setUpShards(name?.text ?? null).catch((error: unknown) => {
    throw new PgDogError('admin_failed', error instanceof Error ? error.message : String(error));
  });
  return buildResult(
    [{ name: 'result' }],
    lines.map((line) => [line]),
    'SETUP',
  );
}
