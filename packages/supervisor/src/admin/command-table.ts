import { PgDogError } from '@pgdog-cluster/core';
import type { AdminCaller, AdminContext } from './admin-context.js';
import type { AdminToken } from './admin-lexer.js';
import { resetChanges, runChange, runPersist } from './change-commands.js';
import {
  answerDriverShow,
  answerSelect,
  answerSet,
  answerTransaction,
  completion,
  noSql,
  TRANSACTION_WORDS,
} from './driver-talk.js';
import { runBan, runHealthcheck, runUnban } from './host-commands.js';
import type { ShowQuestion } from './merged-queries.js';
import {
  runDisable,
  runEnable,
  runKill,
  runKillClient,
  runMaintenance,
  runPause,
  runReconnect,
  runResume,
  runShutdown,
  runSuspend,
  runWaitClose,
} from './order-commands.js';
import { runSetup } from './shard-commands.js';
import type { Privilege, Show } from './show.js';
import { makeShowHelp } from './show-help.js';
import { findShow as findTable, SHOWS as TABLES } from './show-table.js';

export interface HelpLine {
  usage: string;
  description: string;
}

export interface CommandCall {
  context: AdminContext;
  caller: AdminCaller;
  /** All tokens of the command; the first is its word. */
  tokens: readonly AdminToken[];
  /** Raised when nobody waits for the answer any more (GivenUp). */
  signal: AbortSignal;
}

export interface AdminCommand extends HelpLine {
  /** First word. */
  word: string;
  privilege: Privilege;
  isHidden?: boolean;
  run: (call: CommandCall) => Uint8Array | Promise<Uint8Array>;
}

export const SHOWS: readonly Show[] = [...TABLES, makeShowHelp(() => helpLines())];

/** As asked for in that admin database; undefined: there is none of this name. */
export function findShow(database: string, name: string): Show | undefined {
  return findTable(database, name) ?? SHOWS.find((show) => show.name === name);
}

/** Known to PgDog or PgBouncer. An empty row would look like "there are none". */
const LATER_SHOWS: ReadonlySet<string> = new Set(
  'replication_slots table_copies schema_sync tasks qos query_plans'.split(' '),
);

/** Orders of PgDog and PgBouncer that this version does not have. */
const LATER_ORDERS = 'force_reload probe schema_sync copy_data replicate reshard cutover stop_task';

function unsupported(what: string): never {
  throw new PgDogError('unsupported_feature', `${what} is not supported by this version`);
}

function joined(tokens: readonly AdminToken[]): string {
  return tokens.map(({ text }) => text).join('');
}

/** Names after SHOW CLIENTS: separated by commas or blanks. */
function columnList(tokens: readonly AdminToken[]): string[] {
  const names = tokens.filter(({ text }) => text !== ',');
  if (names.some(({ kind }) => kind !== 'word' && kind !== 'quoted')) throw new PgDogError('admin_syntax');
  return names.map(({ text }) => text.toLowerCase());
}

/** What is to be found in the text, as one string or as words, and LIMIT n at its end. */
function questionOf(tokens: readonly AdminToken[]): ShowQuestion {
  const [word, number] = tokens.slice(-2);
  const isLimited = word?.kind === 'word' && word.text === 'limit' && number?.kind === 'number';
  const limit = isLimited ? Number(number.text) : null;
  if (limit !== null && !Number.isInteger(limit)) throw new PgDogError('admin_syntax');
  const rest = isLimited ? tokens.slice(0, -2) : tokens;
  return {
    filter: rest
      .map(({ text }) => text)
      .join(' ')
      .toLowerCase(),
    limit,
  };
}

async function runShow({ context, caller, tokens }: CommandCall): Promise<Uint8Array> {
  const rest = tokens.slice(1);
  if (rest.length === 0) throw new PgDogError('admin_syntax');
  const { database } = caller;
  const whole =
    findShow(database, joined(rest)) ?? findShow(database, rest.map(({ text }) => text).join('_'));
  if (whole?.isForAdminsOnly === true && caller.isViewer === true)
    throw new PgDogError('admin_only', 'admin access needed');
  if (whole !== undefined) return whole.answer(context, caller, []);
  const first = findShow(database, rest[0].text);
  if (first?.takesColumns) return first.answer(context, caller, columnList(rest.slice(1)));
  if (first?.takesFilter) return first.answer(context, caller, [], questionOf(rest.slice(1)));
  const name = rest.map(({ text }) => text).join('_');
  if (LATER_SHOWS.has(rest[0].text) || LATER_SHOWS.has(name)) unsupported(`SHOW ${name.toUpperCase()}`);
  // SHOW POOLS and something: a mistake, not a driver.
  if (first !== undefined) throw new PgDogError('admin_syntax');
  return answerDriverShow(rest);
}

async function runReload({ context, caller, tokens }: CommandCall): Promise<Uint8Array> {
  if (tokens.length > 1) throw new PgDogError('admin_syntax');
  await context.orders.reload(`RELOAD by ${caller.user}`);
  return completion('RELOAD');
}

const RELOAD_HELP =
  'Read all files of the configuration again, with secrets and certificates, and the schema of sharded databases. An error changes nothing.';

const SHUTDOWN_HELP =
  'Takes no new clients, finishes transactions, ends; or waits, however long, until server connections are released, or clients have left.';

function runCrash({ context, tokens }: CommandCall): Uint8Array {
  const [, what, number, ...rest] = tokens;
  const isComplete = what?.text === 'worker' && number?.kind === 'number' && rest.length === 0;
  // Without test hooks there is no such command.
  if (!context.hasTestHooks || !isComplete) throw new PgDogError('admin_syntax');
  context.orders.crashWorker(Number(number.text));
  return completion('CRASH');
}

async function runReset(call: CommandCall): Promise<Uint8Array> {
  const { context, tokens } = call;
  const what = tokens[1]?.text;
  if (what === undefined) throw new PgDogError('admin_syntax');
  if (what === 'prepared') unsupported('RESET PREPARED');
  if (what === 'changes') return resetChanges(call);
  if (what === 'query_cache') {
    if (tokens.length > 2) throw new PgDogError('admin_syntax');
    await context.orders.resetQueryCache();
  }
  return completion('RESET');
}

function order(word: string, usage: string, description: string, run: AdminCommand['run']): AdminCommand {
  return { word, usage, description, privilege: 'admin', run };
}

function driver(word: string, run: AdminCommand['run']): AdminCommand {
  return { ...order(word, word.toUpperCase(), 'Accepted for drivers; no effect.', run), isHidden: true };
}

/** Every command there is, by first word, with the privilege it needs. */
export const COMMANDS: readonly AdminCommand[] = [
  order('show', 'SHOW <name>', 'One of the tables; another name: one row, for drivers.', runShow),
  order('shutdown', 'SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]', SHUTDOWN_HELP, runShutdown),
  order('reload', 'RELOAD', RELOAD_HELP, runReload),
  order(
    'maintenance',
    'MAINTENANCE ON|OFF [database]',
    'Clients wait, connected, before their next transaction; running ones finish.',
    runMaintenance,
  ),
  order(
    'pause',
    'PAUSE [database]',
    'As MAINTENANCE ON, server connections are closed too; answered when none is left.',
    runPause,
  ),
  order('resume', 'RESUME [database]', 'Ends PAUSE, KILL and SUSPEND.', runResume),
  order('suspend', 'SUSPEND', 'Clients wait before their next request, in transactions too.', runSuspend),
  order(
    'reconnect',
    'RECONNECT [database]',
    'Server connections are closed as they come free, and others opened.',
    runReconnect,
  ),
  order(
    'wait_close',
    'WAIT_CLOSE [database]',
    'Answered when RECONNECT has closed the last one.',
    runWaitClose,
  ),
  order(
    'disable',
    'DISABLE <database>',
    'New clients are refused; those that are connected stay.',
    runDisable,
  ),
  order('enable', 'ENABLE <database>', 'Takes DISABLE back.', runEnable),
  order('kill', 'KILL [database]', 'Clients and server connections are cut now; then as PAUSE.', runKill),
  order('kill_client', 'KILL_CLIENT <id>', 'Ends one client, by its id in SHOW CLIENTS.', runKillClient),
  order('ban', 'BAN [pool]', 'The host of a pool, or every host, is not read from until UNBAN.', runBan),
  order('unban', 'UNBAN [pool]', 'Takes BAN back, and forgets what was measured against the host.', runUnban),
  order(
    'healthcheck',
    'HEALTHCHECK [pool]',
    'Checks the host of a pool, or every host, now; an error when one fails.',
    runHealthcheck,
  ),
  order(
    'setup',
    'SETUP SCHEMA [database]',
    'Makes on every shard what commits over several of them need, as pgdog-cluster setup does.',
    runSetup,
  ),
  order(
    'add',
    'ADD DATABASE|USER <name> <key> = <value> … [PERSIST]',
    'Adds an entry of [[databases]] or [[users]], until a restart, or with PERSIST for good.',
    runChange,
  ),
  order(
    'alter',
    'ALTER DATABASE|USER <name> [WHERE <key> = <value> …] <key> = <value> … [PERSIST]',
    'Changes the entries of that name, or those that WHERE chooses; DEFAULT takes a key away.',
    runChange,
  ),
  order(
    'drop',
    'DROP DATABASE|USER <name> [WHERE <key> = <value> …] [PERSIST]',
    'Removes entries: clients finish their transactions and are sent away.',
    runChange,
  ),
  order('persist', 'PERSIST', 'Writes all changes that are in force to persist_file.', runPersist),
  order(
    'set',
    'SET <name> = <value>',
    'Changes a setting until the next RELOAD; times in ms, or with a unit in quotes. Of another name: accepted for drivers.',
    ({ context, caller, tokens }) => answerSet(context, caller, tokens.slice(1)),
  ),
  { ...order('crash', 'CRASH WORKER <n>', 'Tests only.', runCrash), isHidden: true },
  order(
    'reset',
    'RESET QUERY_CACHE | CHANGES',
    'Workers forget plans, shapes and what SHOW QUERIES has counted; or ADD, ALTER and DROP that are not persisted are taken back. Of another name: accepted for drivers.',
    runReset,
  ),
  driver('discard', () => completion('DISCARD ALL')),
  driver('select', ({ context, caller, tokens }) => answerSelect(context, caller, tokens.slice(1))),
  driver('with', ({ tokens }) => {
    throw noSql(tokens);
  }),
  ...TRANSACTION_WORDS.map((word) => driver(word, () => answerTransaction(word))),
  ...LATER_ORDERS.split(' ').map((word) => ({
    ...order(word, word.toUpperCase(), 'Not supported by this version.', () =>
      unsupported(word.toUpperCase()),
    ),
    isHidden: true,
  })),
];

/** For SHOW HELP and the docs: tables first, then orders. */
export function helpLines(): HelpLine[] {
  const shows = SHOWS.map(({ name, description }) => ({
    usage: `SHOW ${name.includes('.') ? name : name.toUpperCase()}`,
    description,
  }));
  const orders = COMMANDS.filter(({ isHidden, word }) => isHidden !== true && word !== 'show');
  return [...shows, ...orders.map(({ usage, description }) => ({ usage, description }))];
}

/** Names of orders that get 0A000, for the docs. */
export const UNSUPPORTED_ORDERS: readonly string[] = LATER_ORDERS.split(' ');
