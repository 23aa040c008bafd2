import type { ChangeLayers, LoadedConfig } from '@pgdog-cluster/core/config';
import { changeTag } from '../config/change-text.js';
import type { Logger } from '../log/logger.js';
import type { Supervisor } from '../supervisor.js';
import { TakeOver } from './take-over.js';
import { TakeOverOffer } from './take-over-offer.js';

/** Of changes that are told one by one. */
const NAMED_MAX = 20;

const userId = (): number => process.geteuid?.() ?? 0;

/** Null, with a line in the log, when nobody is there to be taken over: then this is an ordinary start. */
export async function beginTakeOver(loaded: LoadedConfig, logger: Logger): Promise<TakeOver | null> {
  const port = loaded.listen[0]?.port ?? loaded.general.port;
  const takeOver = await TakeOver.begin(port, userId());
  if (takeOver === null) {
    const text = `no process of this user serves port ${port}: an ordinary start`;
    logger.log('warn', 'take_over_nobody', text, { port });
  }
  return takeOver;
}

/** @throws PgDogError `configuration` when the old process has changed its mind */
export async function finishTakeOver(takeOver: TakeOver, logger: Logger): Promise<void> {
  const { pid, leftover } = takeOver;
  for (const { host, port } of leftover) {
    logger.log(
      'info',
      'take_over_left',
      `process ${pid} listened on ${host}:${port}, which is not wanted here`,
    );
  }
  const isReleased = await takeOver.serving();
  if (isReleased) logger.log('info', 'took_over', `took over from process ${pid}, which drains now`, { pid });
  else logger.log('warn', 'took_over', `process ${pid} was gone before it could be taken over`, { pid });
}

export interface Offered {
  offer: TakeOverOffer;
  /** Resolves when another process has taken over and all clients have left or been told to. */
  ended: Promise<void>;
}

/** What only this process knows of, the next does not have. */
function warnOfLost({ unpersisted }: ChangeLayers, pid: number, logger: Logger): void {
  if (unpersisted.length === 0) return;
  const names = unpersisted.slice(0, NAMED_MAX).map((change) => `${changeTag(change)} "${change.name}"`);
  const more = unpersisted.length > NAMED_MAX ? ` and ${unpersisted.length - NAMED_MAX} more` : '';
  const text = `process ${pid} does not have what was ordered without PERSIST: ${names.join(', ')}${more}`;
  logger.log('warn', 'changes_lost', text, { pid });
}

/**
 * From now on another process may take over. `closeOwn`: frees what only one process can have (HTTP ports). Then clients
 * have shutdown_timeout to leave by themselves, and again to finish their transactions.
 */
export function offerTakeOver(
  supervisor: Supervisor,
  logger: Logger,
  closeOwn: () => Promise<void>,
): Offered {
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const release = async (pid: number, tell: () => void): Promise<void> => {
    await closeOwn().finally(tell);
    warnOfLost(supervisor.reloads.layers, pid, logger);
    const reason = `process ${pid} has taken over`;
    const { shutdown_timeout: timeoutMs } = supervisor.loaded.general;
    const timer = setTimeout(() => void supervisor.drain(reason, 'transactions'), timeoutMs);
    if (timeoutMs === 0) clearTimeout(timer);
    await supervisor.drain(reason, 'clients');
    clearTimeout(timer);
    end();
  };
  const { loaded, listeners } = supervisor;
  const port = listeners.find(({ kind }) => kind === 'tcp')?.port ?? loaded.general.port;
  const offer = new TakeOverOffer({
    port,
    userId: userId(),
    logger,
    listeners: () => supervisor.listeners,
    canBeTaken: () => supervisor.shutdownPhase === 'none',
    onTaken: (pid, tell) => {
      release(pid, tell).catch((error: unknown) => {
        logger.log(
          'error',
          'take_over_drain',
          `draining failed: ${error instanceof Error ? error.message : error}`,
        );
        end();
      });
    },
  });
  return { offer, ended };
}
