/** What the demo prints once it is up: short enough to stay on one screen, every line ready to be pasted. */

import { counted } from '@pgdog-cluster/core';
import { TOUR } from './tour.js';

const LABEL_CHARS = 14;

export interface WelcomeFacts {
  port: number;
  metricsPort: number;
  workers: number;
  ioDriver: string;
  serverPorts: number[];
  hasLoad: boolean;
  startMs: number;
  isReused: boolean;
}

interface Style {
  bold(text: string): string;
  dim(text: string): string;
  accent(text: string): string;
}

/** Plain text for pipes, and for who asks for it (no-color.org). */
export function styleFor(isTerminal: boolean, environment: NodeJS.ProcessEnv): Style {
  const isPlain = !isTerminal || (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb';
  const wrap = (on: number, off: number) => (text: string) =>
    isPlain ? text : `\x1b[${on}m${text}\x1b[${off}m`;
  return { bold: wrap(1, 22), dim: wrap(2, 22), accent: wrap(36, 39) };
}

export function welcomeText(facts: WelcomeFacts, style: Style): string {
  const { port, metricsPort, workers, ioDriver, serverPorts } = facts;
  const psql = `psql -h 127.0.0.1 -p ${port}`;
  const row = (label: string, command: string): string =>
    `  ${style.dim(label.padEnd(LABEL_CHARS))}${style.accent(command)}`;
  const data = facts.isReused ? 'sample data of the last start' : 'fresh sample data';
  const lines = [
    '',
    `${style.bold('pgdog-cluster demo')}  ready on 127.0.0.1:${port} after ${(facts.startMs / 1000).toFixed(1)} s`,
    style.dim(
      `  ${counted(workers, 'worker')} (${ioDriver}), ${serverPorts.length} Postgres servers on ports ${serverPorts.join(', ')}, ${data}`,
    ),
    '',
    row('connect', `PGPASSWORD=postgres ${psql} -U postgres`),
    row('application', `DATABASE_URL=postgres://postgres:postgres@127.0.0.1:${port}/postgres`),
    row('admin', `PGPASSWORD=admin ${psql} -U admin admin`),
    row('dashboard', `http://127.0.0.1:${metricsPort}/`),
    row('metrics', `curl http://127.0.0.1:${metricsPort}/metrics`),
    ...(facts.hasLoad ? [] : [row('load', 'npm run demo -- --load')]),
    '',
    `  ${style.bold('To try')} ${style.dim('(one database over all servers; shard_0 to shard_2: each of them alone)')}`,
    ...TOUR.flatMap(({ label, statements, error, isJoined = false }) => [
      ...(isJoined ? [statements.join('  ')] : statements).map((text, index) =>
        row(index === 0 ? label : '', text),
      ),
      ...(error === undefined ? [] : [`  ${' '.repeat(LABEL_CHARS)}${style.dim(`ERROR:  ${error}`)}`]),
    ]),
    '',
    style.dim('  Ctrl-C stops everything.'),
    '',
  ];
  return `${lines.join('\n')}\n`;
}
