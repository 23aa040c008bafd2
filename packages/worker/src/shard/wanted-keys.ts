import {
  type KeysFoundMessage,
  type LookupKey,
  lookupOutcome,
  type ShardFunction,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';

type Missing = (typeof lookupOutcome.missing)[number];

/**
 * Keys of one database whose shards are being looked up, and who waits for them. The supervisor asks: a client that waits
 * takes no server connection for it, and no right or setting of the client counts.
 */
export class WantedKeys {
  private readonly context: WorkerContext;
  private readonly database: string;
  private functions: readonly ShardFunction[] = [];
  /** By rule and key: those who wait for it last. */
  private readonly waiters = new Map<string, Set<Session>>();
  private readonly waitsFor = new Map<Session, string>();
  /** What statements that are not chosen for yet have asked for, in all their turns. */
  private readonly asked = new Map<Session, Missing[]>();

  constructor(context: WorkerContext, database: string) {
    this.context = context;
    this.database = database;
  }

  takeUp(functions: readonly ShardFunction[]): void {
    this.functions = functions;
    this.asked.clear();
    this.release([...this.waiters.keys()]);
  }

  /** `session` waits for what the choice of its shard has missed (`lookupOutcome`), and is resumed then. */
  hold(session: Session): void {
    const wanted = new Map<number, string[]>();
    let last = '';
    const asked = this.asked.get(session) ?? [];
    this.asked.set(session, asked);
    for (const { lookups, key } of lookupOutcome.missing) {
      lookups.hold(key);
      asked.push({ lookups, key });
      const text = this.functions[lookups.rule].textOfKey(key);
      last = idOf(lookups.rule, key);
      if (this.waiters.has(last)) continue;
      this.waiters.set(last, new Set());
      const texts = wanted.get(lookups.rule);
      if (texts === undefined) wanted.set(lookups.rule, [text]);
      else texts.push(text);
    }
    this.waiters.get(last)?.add(session);
    this.waitsFor.set(session, last);
    const { worker } = this.context;
    for (const [rule, keys] of wanted)
      this.context.tell({ type: 'keysWanted', worker, database: this.database, rule, keys });
  }

  found({ rule, answers }: KeysFoundMessage): void {
    const function_ = this.functions[rule];
    const ids: string[] = [];
    for (const { key: text, shard, problem } of answers) {
      const key = function_?.keyOfText(text) ?? null;
      if (key === null) continue;
      function_.lookups?.take(key, shard, problem);
      ids.push(idOf(rule, key));
    }
    this.release(ids);
  }

  private release(ids: readonly string[]): void {
    const sessions: Session[] = [];
    for (const id of ids) {
      sessions.push(...(this.waiters.get(id) ?? []));
      this.waiters.delete(id);
    }
    for (const session of sessions) this.waitsFor.delete(session);
    for (const session of sessions) session.resumeRequests();
  }

  /** What it asks has its shard, or is refused: answers count no longer than others do. */
  chosen(session: Session): void {
    if (this.asked.size === 0) return;
    for (const { lookups, key } of this.asked.get(session) ?? []) lookups.letGo(key);
    this.asked.delete(session);
  }

  /** It waits no more: gone, or cancelled. */
  forget(session: Session): void {
    this.chosen(session);
    const id = this.waitsFor.get(session);
    if (id === undefined) return;
    this.waitsFor.delete(session);
    this.waiters.get(id)?.delete(session);
  }

  holds(session: Session): boolean {
    return this.waitsFor.has(session);
  }
}

function idOf(rule: number, key: LookupKey): string {
  return `${rule} ${key}`;
}
