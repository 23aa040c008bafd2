import { buildNoticeResponse, PgDogError } from '@pgdog-cluster/core';
import type { ConfigurationChange } from '@pgdog-cluster/core/config';
import { changeTag } from '../config/change-text.js';
import { parseChange } from '../config/parse-change.js';
import type { CommandCall } from './command-table.js';
import { completion } from './driver-talk.js';

/** ADD, ALTER, DROP of databases and users, and PERSIST. */

function withNotice(message: string, hint: string, tag: string): Uint8Array {
  const notice = buildNoticeResponse({ severity: 'NOTICE', sqlstate: '00000', message, hint });
  return Buffer.concat([notice, completion(tag)]);
}

export async function runChange({ context, caller, tokens }: CommandCall): Promise<Uint8Array> {
  const { change: parsed, isPersisted } = parseChange(tokens);
  const tag = changeTag(parsed);
  const source = `${tag} "${parsed.name.slice(0, 63)}" by ${caller.user}`;
  const change: ConfigurationChange = { ...parsed, source, line: 0 };
  const changes = await context.orders.change({ type: 'change', change, isPersisted });
  if (isPersisted) return withNotice(changes, '', tag);
  return withNotice(`${changes}; until a restart`, 'PERSIST keeps all changes that are in force.', tag);
}

export async function runPersist({ context, tokens }: CommandCall): Promise<Uint8Array> {
  if (tokens.length > 1) throw new PgDogError('admin_syntax');
  const { layers } = context.reloadState();
  const count = layers.unpersisted.length;
  if (count > 0) await context.orders.change({ type: 'persist' });
  return withNotice(
    count === 1 ? 'one change is kept now that was not' : `${count} changes are kept now that were not`,
    '',
    'PERSIST',
  );
}

/** RESET CHANGES: what is not kept is taken back. */
export async function resetChanges({ context, tokens }: CommandCall): Promise<Uint8Array> {
  if (tokens.length > 2) throw new PgDogError('admin_syntax');
  return withNotice(await context.orders.change({ type: 'reset' }), '', 'RESET');
}
