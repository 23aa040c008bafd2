import type { MirrorReport } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { CaptureBudget } from './capture-budget.js';
import { Mirror } from './mirror.js';
import { MirrorRunner } from './mirror-runner.js';
import { MirrorTap } from './mirror-tap.js';
import type { SessionTap } from './session-tap.js';

/** What a worker that drains gives its mirrors after its last client. */
const DRAIN_MS = 1000;

/** All [[mirroring]] of one worker. They are those of its start: a configuration that is taken up later changes none. */
export class Mirrors {
  private readonly context: WorkerContext;
  private readonly bySource = new Map<string, Mirror[]>();
  /** One per client and destination, until what waits is done. */
  private readonly runners = new Set<MirrorRunner>();
  private readonly budget = new CaptureBudget();
  private awake: MirrorRunner[] = [];
  private drainSinceMs = 0;
  private isSessionModeTold = false;

  constructor(context: WorkerContext) {
    this.context = context;
    for (const snapshot of context.config.mirrors ?? []) {
      const mirror = new Mirror(context, snapshot);
      const others = this.bySource.get(snapshot.source);
      if (others === undefined) this.bySource.set(snapshot.source, [mirror]);
      else others.push(mirror);
    }
  }

  /** For a client that has logged in; null: nothing of it is mirrored. */
  tapFor(session: Session): SessionTap | null {
    const mirrors = this.bySource.get(session.database);
    if (mirrors === undefined) return null;
    const { context } = this;
    if (session.isSessionMode) {
      // Its names and settings are in its server connection: no other could be brought to the same state.
      if (!this.isSessionModeTold) {
        this.isSessionModeTold = true;
        const text = `clients of "${session.database}" in session mode are not mirrored`;
        context.log('warn', 'mirror_session_mode', text, { database: session.database, user: session.user });
      }
      return null;
    }
    const { user, startupParameters } = session;
    const runners = mirrors.map((mirror) => {
      const identity = { database: mirror.snapshot.destination, user, startupParameters };
      return new MirrorRunner(context, mirror, identity);
    });
    for (const runner of runners) this.runners.add(runner);
    return new MirrorTap(session, runners, this.budget);
  }

  /** It may be able to go on. Not here: whoever calls is in the middle of something. */
  wake(runner: MirrorRunner): void {
    if (runner.isAwake || !this.runners.has(runner)) return;
    runner.isAwake = true;
    this.awake.push(runner);
  }

  get hasWork(): boolean {
    return this.awake.length > 0;
  }

  /** Between two turns, before what is to be sent leaves. */
  run(): void {
    const { awake } = this;
    this.awake = [];
    for (const runner of awake) {
      runner.isAwake = false;
      runner.run();
    }
  }

  ended(runner: MirrorRunner): void {
    this.runners.delete(runner);
  }

  report(): MirrorReport[] {
    return [...this.bySource.values()].flatMap((mirrors) => mirrors.flatMap((mirror) => mirror.report()));
  }

  /** The last client has gone: whether the mirrors have come to their end too, for which they have a moment. */
  isDrained(nowMs: number): boolean {
    if (this.runners.size === 0) return true;
    if (this.drainSinceMs === 0) this.drainSinceMs = nowMs;
    if (nowMs - this.drainSinceMs >= DRAIN_MS) this.drop();
    return this.runners.size === 0;
  }

  /** What waits is dropped, what runs is rolled back. */
  drop(): void {
    for (const runner of [...this.runners]) runner.drop();
  }
}
