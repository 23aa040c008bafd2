import type { WorkerContext } from '../worker-context.js';
import type { Listener } from './listener.js';

/** Counted per user: SHOW LISTENERS tells them apart. */
interface Channel {
  /** How often each listener needs it: a move may ask again for what it has. */
  readonly listeners: Map<Listener, number>;
  readonly counts: Map<string, number>;
}

/** What this worker wants to be told, as the supervisor knows it. */
export class Subscriptions {
  private readonly context: WorkerContext;
  private readonly databases = new Map<string, Map<string, Channel>>();

  constructor(context: WorkerContext) {
    this.context = context;
  }

  of(database: string, channel: string): Listener[] {
    return [...(this.databases.get(database)?.get(channel)?.listeners.keys() ?? [])];
  }

  add(listener: Listener, name: string): void {
    const { database, user } = listener.session;
    const channels = this.databases.get(database) ?? new Map<string, Channel>();
    this.databases.set(database, channels);
    const channel = channels.get(name) ?? { listeners: new Map(), counts: new Map() };
    channels.set(name, channel);
    const needs = channel.listeners.get(listener) ?? 0;
    channel.listeners.set(listener, needs + 1);
    if (needs > 0) return;
    const count = (channel.counts.get(user) ?? 0) + 1;
    channel.counts.set(user, count);
    this.tell(listener, name, count, 0);
  }

  remove(listener: Listener, name: string): void {
    const { database, user } = listener.session;
    const channels = this.databases.get(database);
    const channel = channels?.get(name);
    const needs = channel?.listeners.get(listener) ?? 0;
    if (channel === undefined || needs === 0) return;
    if (needs > 1) {
      channel.listeners.set(listener, needs - 1);
      return;
    }
    channel.listeners.delete(listener);
    const count = (channel.counts.get(user) ?? 1) - 1;
    channel.counts.set(user, count);
    if (channel.listeners.size === 0) channels?.delete(name);
    this.tell(listener, name, count, 0);
  }

  /** It was disconnected because it was too slow. */
  countDropped(listener: Listener): void {
    for (const name of listener.channels) {
      const { database, user } = listener.session;
      const channel = this.databases.get(database)?.get(name);
      this.tell(listener, name, channel?.counts.get(user) ?? 0, 1);
    }
  }

  private tell({ session }: Listener, channel: string, count: number, dropped: number): void {
    const { database, user } = session;
    const { worker } = this.context;
    this.context.tell({ type: 'listeners', worker, database, user, channel, count, dropped });
  }
}
