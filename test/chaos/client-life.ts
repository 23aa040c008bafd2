/** One client from connect to its end: which actions, in which order, and when it vanishes; all from its chance. */
import type { Chance } from './chance.js';
import { ChaosClient, type ChaosTarget, Vanished, type VanishHow } from './chaos-client.js';
import { ChaosSession, type RunLedger } from './chaos-session.js';
import * as pins from './pin-actions.js';
import * as prepared from './prepared-actions.js';
import * as queries from './query-actions.js';
import { ChaosFailure } from './reply-machine.js';
import { SessionModel, type SettingName } from './session-model.js';
import * as settings from './setting-actions.js';

type Action = (s: ChaosSession) => Promise<void>;

/** Weight of each action; in a failed transaction only those of FAILED are taken. */
const ACTIONS: [weight: number, action: Action][] = [
  [10, queries.tokenQuery],
  [2, queries.emptyQuery],
  [3, queries.failingQuery],
  [3, queries.multiStatement],
  [2, queries.multiUndone],
  [2, queries.multiTransaction],
  [1, queries.largeResult],
  [1, queries.largeValue],
  [1, queries.largeRequest],
  [3, queries.pipelinedQueries],
  [1, queries.functionCall],
  [7, settings.setSetting],
  [5, settings.setConfig],
  [3, settings.resetSetting],
  [2, settings.setUndone],
  [1, settings.setHidden],
  [9, settings.lookAtSettings],
  [3, settings.lookAtPath],
  [6, settings.begin],
  [6, settings.endTransaction],
  [4, settings.savepoint],
  [4, settings.insertRow],
  [6, prepared.prepare],
  [9, prepared.executePrepared],
  [2, prepared.describePrepared],
  [2, prepared.closePrepared],
  [3, prepared.sqlPrepare],
  [4, prepared.sqlExecute],
  [2, prepared.sqlDeallocate],
  [1, prepared.discardAll],
  [5, prepared.pipelinedBatches],
  [1, prepared.parseAroundError],
  [2, prepared.flushed],
  [2, prepared.limitedPortal],
  [2, prepared.openPortal],
  [4, prepared.fetchPortal],
  [2, pins.tempTable],
  [1, pins.tempTableOfTransaction],
  [1, pins.noTempTable],
  [2, pins.advisoryLock],
  [2, pins.lookAtLocks],
  [1, pins.transactionLock],
  [1, pins.listen],
  [1, pins.holdCursor],
  [3, pins.copyIn],
  [1, pins.copyOut],
  [1, pins.cancelOwn],
  [2, pins.cancelNothing],
];
/** Always there: without looking nothing is found. */
const LOOKS = ['lookAtSettings', 'lookAtLocks', 'tokenQuery', 'lookAtPath'];

/**
 * Half of the actions, by chance: when all are mixed, the resets after some of them wipe out what others left
 * behind before anybody sees it.
 */
export function someActions(chance: Chance): string[] {
  return ACTIONS.map(([, { name }]) => name).filter((name) => LOOKS.includes(name) || chance.is(50));
}

const FAILED: [weight: number, action: Action][] = [
  [4, settings.endTransaction],
  [2, settings.savepoint],
  [2, settings.refusedInFailed],
];
/** While others wait for the pinned server: towards its end, or at least using it. */
const PINNED: [weight: number, action: Action][] = [
  [3, pins.tempTable],
  [3, pins.advisoryLock],
  [3, pins.listen],
  [3, pins.holdCursor],
  [2, pins.lookAtLocks],
  [1, prepared.discardAll],
];

export interface LifeOptions {
  target: ChaosTarget;
  id: string;
  chance: Chance;
  defaults: Map<SettingName, string>;
  ledger: RunLedger;
  actionsMax: number;
  /** Names of the actions to choose from. */
  only: readonly string[];
  counts: Map<string, number>;
}

export interface LifeResult {
  failure: string | null;
  history: string[];
  operations: number;
}

const HOWS: readonly VanishHow[] = ['reset', 'fin', 'terminate', 'destroy'];

/** Startup parameters of this client, noted as its defaults. */
function startupParameters(
  chance: Chance,
  id: string,
  defaults: Map<SettingName, string>,
): Record<string, string> {
  const parameters: Record<string, string> = {};
  const note = (name: SettingName, value: string): string => {
    defaults.set(name, value);
    return value;
  };
  if (chance.is(40)) parameters['application_name'] = note('application_name', `${id}-start`);
  if (chance.is(10)) parameters['TimeZone'] = note('TimeZone', 'Asia/Tokyo');
  if (chance.is(10)) parameters['search_path'] = note('search_path', 'chaos_2, public');
  if (chance.is(15))
    parameters['options'] =
      `-c work_mem=${note('work_mem', '9MB')} -c app.extra=${note('app.extra', `${id}-option`)}`;
  return parameters;
}

/** Startup settings no server accepts: refused at once, and without a trace on the server that was asked. */
async function refusedLogin(options: LifeOptions): Promise<void> {
  const client = await ChaosClient.open(options.target);
  const bad = { application_name: `${options.id}-refused`, options: '-c app.extra=refused -c work_mem=much' };
  const refusal = await client.login(bad, 196608);
  client.vanish('destroy');
  if (refusal?.['C'] !== '22023')
    throw new ChaosFailure(`login with a bad setting: ${refusal === null ? 'accepted' : refusal['M']}`);
}

function chooseAction(s: ChaosSession, options: LifeOptions): Action {
  const { status, isPinned } = s.model;
  if (status === 'E') return choose(s.chance, FAILED);
  if (isPinned && s.chance.is(35)) return choose(s.chance, PINNED);
  if (status === 'T' && s.chance.is(15)) return settings.endTransaction;
  return choose(
    s.chance,
    ACTIONS.filter(([, { name }]) => options.only.includes(name)),
  );
}

function choose(chance: Chance, list: [number, Action][]): Action {
  return (list[chance.weighted(list.map(([weight]) => weight))] ?? (list[0] as [number, Action]))[1];
}

/** Plans the end: in four of five lives in the middle of whatever happens then. */
function planEnd(chance: Chance, client: ChaosClient): void {
  const how = chance.pick(HOWS);
  const kind = chance.between(0, 9);
  if (kind <= 1) client.plan = { how, bytes: chance.between(1, chance.is(30) ? 60 : 3000) };
  else if (kind <= 3) client.plan = { how, frames: chance.between(1, chance.is(30) ? 20 : 400) };
  // The first three writes are the login's.
  else if (kind <= 7)
    client.plan = { how, writes: chance.between(1, chance.is(30) ? 4 : 40), delayMs: chance.between(0, 4) };
}

async function live(s: ChaosSession, options: LifeOptions, result: LifeResult): Promise<void> {
  const { chance, client } = s;
  for (let step = chance.between(2, options.actionsMax); step > 0; step--) {
    const action = chooseAction(s, options);
    s.note(`-- ${action.name} (${s.model.status})`);
    await action(s);
    options.counts.set(action.name, (options.counts.get(action.name) ?? 0) + 1);
    result.operations += 1;
    s.checkIdle();
    if (s.model.status === 'I' && !s.model.isPinned && chance.is(20))
      await new Promise((resolve) => setTimeout(resolve, chance.between(0, 30)));
  }
  // Leaves as it stands: with an open transaction, pins, or a request under way.
  if (chance.is(30)) {
    s.q(chance.pick(['SELECT pg_sleep(0.05)', 'SELECT repeat($$w$$, 500000)', 'SELECT 1']));
    client.flush();
    await new Promise((resolve) => setTimeout(resolve, chance.between(0, 20)));
  }
  client.vanish(chance.pick(HOWS));
}

/** Never throws: what goes wrong is in the result. */
export async function runLife(options: LifeOptions): Promise<LifeResult> {
  const { target, id, chance, ledger } = options;
  const result: LifeResult = { failure: null, history: [], operations: 0 };
  let session: ChaosSession | null = null;
  try {
    if (chance.is(3)) {
      await refusedLogin(options);
      return result;
    }
    const client = await ChaosClient.open(target);
    const defaults = new Map(options.defaults);
    const model = new SessionModel(defaults);
    session = new ChaosSession(id, client, chance, model, ledger);
    result.history = session.history;
    planEnd(chance, client);
    const parameters = startupParameters(chance, id, defaults);
    session.note(`login ${JSON.stringify(parameters)} ${JSON.stringify(client.plan)}`);
    const refusal = await client.login(parameters, chance.is(20) ? 196610 : 196608);
    if (refusal !== null) throw new ChaosFailure(`login refused: ${refusal['C']} ${refusal['M']}`);
    ledger.otherKeys.push({ pid: client.pid, secretBytes: client.secret.length });
    if (ledger.otherKeys.length > 50) ledger.otherKeys.shift();
    session.checkIdle();
    await live(session, options, result);
  } catch (error) {
    if (!(error instanceof Vanished)) {
      result.failure = error instanceof ChaosFailure ? error.message : String((error as Error).stack);
      session?.client.vanish('destroy');
    }
  }
  // No COMMIT was sent for these.
  if (session !== null) for (const token of session.model.openRows) ledger.absent.add(token);
  return result;
}
