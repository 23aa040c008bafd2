/** A primary with streaming standbys, of real servers: about two seconds to start, gone with the process. */
import { newDataDirectory } from './data-place.js';
import { databaseOf, type ProxyDatabase } from './proxy.js';
import { ReplicationHost } from './replication-host.js';
import type { TomlTable } from './toml-text.js';
import { eventually } from './wire.js';

export interface StartReplicationOptions {
  standbyCount?: number;
  /** For every server. */
  settings?: Record<string, string>;
  /** Run once on the primary, before the standbys are copied. */
  initSql?: string;
  /** Commits wait for any one standby: what was acknowledged survives the primary. */
  isSynchronous?: boolean;
}

export class ReplicationCluster {
  /** The first was the primary at the start. */
  readonly hosts: ReplicationHost[] = [];

  static async start(options: StartReplicationOptions = {}): Promise<ReplicationCluster> {
    const cluster = new ReplicationCluster();
    const { settings = {}, standbyCount = 2 } = options;
    const folder = newDataDirectory();
    const primary = await ReplicationHost.startPrimary('primary', `${folder}-primary`, settings);
    cluster.hosts.push(primary);
    if (options.initSql !== undefined) await primary.query(options.initSql);
    for (let number = 1; number <= standbyCount; number++) {
      const name = `standby${number}`;
      cluster.hosts.push(await ReplicationHost.startStandby(name, `${folder}-${name}`, primary, settings));
    }
    await cluster.untilStreaming(standbyCount);
    if (options.isSynchronous === true)
      await primary.set(
        'synchronous_standby_names',
        `ANY 1 (${cluster.standbys.map(({ name }) => name).join(', ')})`,
      );
    return cluster;
  }

  get primary(): ReplicationHost {
    return this.hosts[0];
  }

  get standbys(): ReplicationHost[] {
    return this.hosts.slice(1);
  }

  host(name: string): ReplicationHost {
    const found = this.hosts.find((host) => host.name === name);
    if (found === undefined) throw new Error(`no host ${name}`);
    return found;
  }

  /** Entries of [[databases]], one per host; `through: 'relay'` puts the wire in between that tests may cut. */
  databases(roles: 'fixed' | 'auto', through: 'direct' | 'relay', settings: TomlTable = {}): ProxyDatabase[] {
    return this.hosts.map((host, index) => {
      const role = roles === 'auto' ? 'auto' : index === 0 ? 'primary' : 'replica';
      return databaseOf(through === 'relay' ? host.relay : host.server, { role, ...settings });
    });
  }

  async untilStreaming(count: number, primary = this.primary): Promise<void> {
    await eventually(
      `${count} standbys stream from ${primary.name}`,
      async () =>
        Number(await primary.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")) ===
        count,
    );
  }

  /** Every standby (or those named) has replayed what the primary has written by now. */
  async untilCaughtUp(standbys = this.standbys, primary = this.primary): Promise<void> {
    const wanted = await primary.position();
    for (const standby of standbys) {
      await eventually(`${standby.name} catches up`, async () => (await standby.position()) >= wanted);
    }
  }

  /** The standby that has received most; the others can follow it. */
  async mostAdvanced(): Promise<ReplicationHost> {
    const received = await Promise.all(this.standbys.map((standby) => standby.received()));
    let best = 0;
    for (const [index, position] of received.entries()) if (position > received[best]) best = index;
    return this.standbys[best];
  }

  async stop(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
  }
}
