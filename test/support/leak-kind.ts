/** One kind of state that a client can leave on a server connection. */
import assert from 'node:assert/strict';
import { B, E, P, S } from './frames.js';
import type { RawClient } from './raw-client.js';
import { run, sqlstateOf } from './wire.js';

export interface LeakKind {
  /** `meddle` has another client use the server connection, where that is possible. */
  make: (client: RawClient, meddle: () => Promise<void>) => Promise<unknown>;
  /** Statements and what they give to the same client afterwards, whatever others did meanwhile. */
  keeps: [sql: string, value: string][];
  /** It cannot be made within a transaction block. */
  isOutsideTransactions?: boolean;
}

export const sql =
  (...statements: string[]) =>
  (client: RawClient): Promise<unknown> =>
    run(client, ...statements);

/** Sends the messages of one exchange; throws what goes wrong. */
export async function assertOk(client: RawClient, ...messages: Buffer[]): Promise<void> {
  client.send(...messages);
  const result = await client.readUntilReady();
  assert.equal(sqlstateOf(result), '', result.error?.['M']);
}

/** A statement by the extended protocol, with its values bound; `rowsMax` 0 = all rows. */
export const bound =
  (text: string, values: string[] = [], rowsMax = 0) =>
  (client: RawClient): Promise<unknown> =>
    assertOk(client, P('', text), B('', '', { values }), E('', rowsMax), S());
