/** The demo's pgdog.toml and users.toml, as a user would write them; shown by nobody, read by the usual loader. */
import { assembleConfig, type LoadedConfig } from '@pgdog-cluster/core/config';
import { DEMO_PASSWORD, DEMO_USER, SHARD_DATABASE } from './embedded-cluster.js';
import { SHARDED_TABLES } from './sample-data.js';

/** Database of the proxy whose shards the servers have. */
export const DEMO_DATABASE = 'postgres';

export interface DemoConfiguration {
  /** Ports of the servers, in the order of the shards. */
  serverPorts: number[];
  port: number;
  metricsPort: number;
  workers: number;
}

/** Ctrl-C has to be done within two seconds, servers included. */
const SHUTDOWN_TIMEOUT_MS = 800;

function configText({ serverPorts, port, metricsPort }: DemoConfiguration): string {
  const database = (name: string, serverPort: number, shard: number): string =>
    `[[databases]]\nname = "${name}"\nhost = "127.0.0.1"\nport = ${serverPort}\nshard = ${shard}\ndatabase_name = "${SHARD_DATABASE}"\n`;
  return [
    '[general]',
    'host = "127.0.0.1"',
    `port = ${port}`,
    'openmetrics_host = "127.0.0.1"',
    `openmetrics_port = ${metricsPort}`,
    'log_level = "warn"',
    'log_connections = false',
    'log_disconnections = false',
    `shutdown_timeout = ${SHUTDOWN_TIMEOUT_MS}`,
    '',
    '[admin]',
    'password = "admin"',
    '',
    ...serverPorts.map((serverPort, index) => database(DEMO_DATABASE, serverPort, index)),
    ...SHARDED_TABLES.map(
      ({ name, column, data_type }) =>
        `[[sharded_tables]]\ndatabase = "${DEMO_DATABASE}"\nname = "${name}"\ncolumn = "${column}"\ndata_type = "${data_type}"\n`,
    ),
    // Each of them alone too, to look at.
    ...serverPorts.map((serverPort, index) => database(`shard_${index}`, serverPort, 0)),
  ].join('\n');
}

/** Throws ConfigurationError only if this file and the schema have come apart. */
export function demoConfiguration(demo: DemoConfiguration): LoadedConfig {
  return assembleConfig({
    config: { name: 'pgdog.toml', text: configText(demo) },
    users: {
      name: 'users.toml',
      text: `[[users]]\nname = "${DEMO_USER}"\nall_databases = true\npassword = "${DEMO_PASSWORD}"\n`,
    },
    commandLine: { workers: demo.workers, listen: [], isSessionMode: false, databaseUrls: [] },
    // The demo is the same everywhere: PGDOG_* variables of the shell are not for it.
    environment: {},
    cpuCount: demo.workers,
    readSecretFile: () => '',
  });
}
