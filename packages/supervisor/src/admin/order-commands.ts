import { type DrainMode, PgDogError } from '@pgdog-cluster/core';
import type { AdminContext } from './admin-context.js';
import type { AdminToken } from './admin-lexer.js';
import type { CommandCall } from './command-table.js';
import { completion } from './driver-talk.js';
import { slotOfSession } from './session-number.js';

/** Orders about databases: PgBouncer's, with its texts. What they do is the OperatorDesk's. */

/**
 * A database as the operator wrote it: as it is, or in other letters when only one is meant. A name with other
 * signs in it may stand without quotes. Null: none was named.
 */
export function databaseNamed(
  context: AdminContext,
  verb: string,
  tokens: readonly AdminToken[],
): string | null {
  if (tokens.length === 0) return null;
  const areTwo = tokens.some(({ kind }, index) => isName(kind) && isName(tokens[index + 1]?.kind));
  if (areTwo) {
    const hint = `${verb.toUpperCase()} <database> is for all of its users.`;
    throw new PgDogError('unsupported_feature', 'one user of a database cannot be ordered about', { hint });
  }
  const name = tokens.map(({ text }) => text).join('');
  if (tokens[0].kind === 'string') throw new PgDogError('admin_syntax');
  const { databases, admin } = context.config();
  if (databases.some((database) => database.name === name)) return name;
  const isFolded = tokens.every(({ kind }) => kind !== 'quoted');
  const similar = databases.filter((database) => isFolded && database.name.toLowerCase() === name);
  if (similar.length === 1) return similar[0].name;
  if (admin.databases.includes(name)) {
    throw new PgDogError('order_refused', `cannot ${verb} in admin db: ${name}`);
  }
  throw new PgDogError('order_refused', `no such database: ${name}`, {
    hint: 'SHOW DATABASES lists them; a name in capitals stands in double quotes.',
  });
}

function isName(kind: AdminToken['kind'] | undefined): boolean {
  return kind === 'word' || kind === 'quoted';
}

function requiredDatabase({ context, tokens }: CommandCall, verb: string): string {
  const name = databaseNamed(context, verb, tokens.slice(1));
  if (name === null) throw new PgDogError('order_refused', 'a database is required');
  return name;
}

/** MAINTENANCE ON | OFF [database]. */
export async function runMaintenance({ context, tokens }: CommandCall): Promise<Uint8Array> {
  const [, word, ...name] = tokens;
  const isKnown = word?.kind === 'word' && (word.text === 'on' || word.text === 'off');
  if (!isKnown) throw new PgDogError('admin_syntax');
  await context.desk.maintenance(word.text === 'on', databaseNamed(context, 'hold', name));
  return completion('MAINTENANCE');
}

export async function runPause({ context, tokens, signal }: CommandCall): Promise<Uint8Array> {
  await context.desk.pause(databaseNamed(context, 'pause', tokens.slice(1)), signal);
  return completion('PAUSE');
}

export async function runResume({ context, tokens }: CommandCall): Promise<Uint8Array> {
  await context.desk.resume(databaseNamed(context, 'resume', tokens.slice(1)));
  return completion('RESUME');
}

export async function runSuspend({ context, tokens }: CommandCall): Promise<Uint8Array> {
  if (tokens.length > 1) throw new PgDogError('admin_syntax');
  await context.desk.suspend();
  return completion('SUSPEND');
}

export async function runReconnect({ context, tokens }: CommandCall): Promise<Uint8Array> {
  await context.desk.reconnect(databaseNamed(context, 'reconnect', tokens.slice(1)));
  return completion('RECONNECT');
}

export async function runWaitClose({ context, tokens, signal }: CommandCall): Promise<Uint8Array> {
  await context.desk.waitClose(databaseNamed(context, 'wait', tokens.slice(1)), signal);
  return completion('WAIT_CLOSE');
}

export async function runDisable(call: CommandCall): Promise<Uint8Array> {
  await call.context.desk.setDisabled(requiredDatabase(call, 'disable'), true);
  return completion('DISABLE');
}

export async function runEnable(call: CommandCall): Promise<Uint8Array> {
  await call.context.desk.setDisabled(requiredDatabase(call, 'enable'), false);
  return completion('ENABLE');
}

export async function runKill({ context, tokens }: CommandCall): Promise<Uint8Array> {
  await context.desk.kill(databaseNamed(context, 'kill', tokens.slice(1)));
  return completion('KILL');
}

/** KILL_CLIENT <id>: as in SHOW CLIENTS. */
export async function runKillClient({ context, tokens }: CommandCall): Promise<Uint8Array> {
  const [, id, ...rest] = tokens;
  const place = id?.kind === 'number' && rest.length === 0 ? slotOfSession(Number(id.text)) : null;
  if (place === null) {
    throw new PgDogError('order_refused', 'invalid client pointer supplied', {
      hint: 'KILL_CLIENT <id>: column id of SHOW CLIENTS.',
    });
  }
  await context.desk.killClient(place.worker, place.slot);
  return completion('KILL_CLIENT');
}

const SHUTDOWN_MODES: ReadonlyMap<string, DrainMode> = new Map([
  ['', 'transactions'],
  ['wait_for_servers', 'servers'],
  ['wait_for_clients', 'clients'],
]);

export function runShutdown({ context, caller, tokens }: CommandCall): Uint8Array {
  const how = tokens
    .slice(1)
    .map(({ text }) => text)
    .join(' ');
  const mode = SHUTDOWN_MODES.get(how);
  if (mode === undefined) throw new PgDogError('admin_syntax');
  context.orders.drain(`SHUTDOWN by ${caller.user}`, mode);
  return completion('SHUTDOWN');
}
