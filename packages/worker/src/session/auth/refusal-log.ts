import type { PgDogError } from '@pgdog-cluster/core';
import type { WorkerContext } from '../../worker-context.js';
import type { Session } from '../session.js';

/** Refused logins of one worker that are logged one by one; in a storm the rest is counted. A line costs more than a refusal. */
const LINES_PER_WINDOW_MAX = 50;
const WINDOW_MS = 1000;

interface Window {
  startMs: number;
  lines: number;
  unlogged: number;
}

const windows = new WeakMap<WorkerContext, Window>();

/** What the client must not know, and whoever looks for the mistake in the configuration wants to. */
export function reasonOf(session: Session, known: object | null): string {
  const { user, database, isAdmin } = session;
  const { directory } = session.context;
  // Looked up for everybody: the time it takes is nobody's.
  const [terms, listed] = [directory.termsOf(database), directory.anyUser(user)];
  if (known !== null) return 'another password';
  if (isAdmin) return 'may not enter the admin database';
  if (terms === null) return 'no such database';
  return listed === null ? 'no such user' : 'may not enter this database';
}

/** One line for a refused login, or a count of them. */
export function logRefusal(session: Session, error: PgDogError, reason = ''): void {
  const { context, user, addr, database } = session;
  const window = windows.get(context) ?? { startMs: 0, lines: 0, unlogged: 0 };
  windows.set(context, window);
  if (context.nowMs - window.startMs >= WINDOW_MS) tellRest(context, window);
  if (window.lines >= LINES_PER_WINDOW_MAX) {
    window.unlogged++;
    // Told at the end of the window even if no further login comes.
    if (window.unlogged === 1)
      context.deadlines.add(window.startMs + WINDOW_MS, () => tellRest(context, window));
    return;
  }
  window.lines++;
  const fields = { user, addr, database, ...(reason === '' ? {} : { reason }) };
  context.log('warn', error.code, error.message, fields);
}

function tellRest(context: WorkerContext, window: Window): void {
  if (window.unlogged > 0) {
    const text = `${window.unlogged} more logins were refused`;
    context.log('warn', 'logins_refused', text, { count: window.unlogged });
  }
  window.startMs = context.nowMs;
  window.lines = 0;
  window.unlogged = 0;
}
