/** Where a workload connects to, and what can be started to be connected to. */
import type { ContenderInfo } from '../report/results.js';
import type { KeyPairPem } from './self-signed.js';

export interface Login {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /**
   * The password as the server has it stored, where we know that. PgBouncer proves itself to the server with the keys of
   * a client's login, so a verifier of another salt would be refused.
   */
  verifier?: string;
  /** Clients use TLS, without verifying the certificate. */
  hasTls?: boolean;
}

export type ClientAuth = 'trust' | 'scram';

/** How a contender is to be started for a group of workloads. */
export interface Setup {
  auth: ClientAuth;
  poolSize: number;
  /** TLS towards clients with this certificate; absent = none. */
  tls?: KeyPairPem;
  /** A standby of the server: reads go to it, and to it alone. Absent = one server, and no statement is routed. */
  standby?: { host: string; port: number };
  /** Databases of the server as shards of one, which `login` names; a table of them is divided by a bigint column. */
  shards?: { databases: readonly string[]; table: string; column: string };
  /** Its metrics are to be read. */
  hasMetrics?: boolean;
}

/** A running contender. */
export interface Endpoint {
  login: Login;
  /** Processes whose CPU and memory count; none for "direct". */
  pids: number[];
  /** Login for SHOW POOLS; null where there is none. */
  admin: Login | null;
  metricsPort?: number;
  stop(): Promise<void>;
}

export interface Contender extends ContenderInfo {
  /** Protocol-level prepared statements survive in transaction pooling. */
  hasPreparedStatements: boolean;
  start(setup: Setup): Promise<Endpoint>;
}
