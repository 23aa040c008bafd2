import type { ConfigSnapshot, PoolSnapshot, UserSnapshot } from '@pgdog-cluster/core';

const NO_VERIFIER = {
  iterations: 4096,
  salt: new Uint8Array(16),
  storedKey: new Uint8Array(32),
  serverKey: new Uint8Array(32),
};

const ROUTING: ConfigSnapshot['routing'] = {
  strategy: 'round_robin',
  readWriteSplit: 'include_primary',
  readWriteStrategy: 'conservative',
  readYourWrites: 'off',
  readYourWritesMs: 0,
};

const BENCH_USER: UserSnapshot = {
  name: 'bench',
  databases: null,
  authType: null,
  identity: null,
  isCertificateRequired: false,
  verifiers: [],
  md5Hashes: [],
  passwordTags: [],
};

/** The defaults of the configuration, but for logins, which are not what is measured, and logs. */
export function benchConfig(poolSize: number, hostCount: number): ConfigSnapshot {
  const hosts = Array.from({ length: hostCount }, (_, index) => index);
  return {
    epoch: 1,
    general: {
      authType: 'trust',
      passthrough: 'off',
      isPlainAllowedWithoutTls: false,
      lookupsMax: 1,
      lookupFailureTtlMs: 0,
      authFailuresMax: 0,
      authFailuresWindowMs: 0,
      ioDriver: 'auto',
      connectTimeoutMs: 5000,
      connectAttempts: 1,
      connectAttemptDelayMs: 0,
      serverLoginRetryMs: 1000,
      rollbackTimeoutMs: 5000,
      healthcheckIntervalMs: 30_000,
      idleHealthcheckIntervalMs: 30_000,
      healthcheckTimeoutMs: 5000,
      reservePoolTimeoutMs: 3000,
      queryWaitNotifyMs: 5000,
      clientIdleTimeoutMs: 0,
      clientLoginTimeoutMs: 60_000,
      shutdownTimeoutMs: 60_000,
      shutdownTerminationTimeoutMs: 1000,
      cancelWaitTimeoutMs: 5000,
      connectionRecovery: 'recover',
      preparedStatementsLimit: 500,
      clientPreparedStatementsLimit: 1000,
      querySizeLimitBytes: 0,
      queryCacheLimit: 50_000,
      querySizeLimitAction: 'warn',
      queueLengthMax: 0,
      maxClientConn: 0,
      maxServerConn: 0,
      loginsInProgressMax: 512,
      maxPacketBytes: 0x3fff_ffff,
      logConnections: false,
      logDisconnections: false,
      statsPeriodMs: 15_000,
    },
    tcp: {
      keepalive: false,
      keepaliveTimeS: 0,
      keepaliveIntervalS: 0,
      keepaliveRetries: 0,
      userTimeoutMs: 0,
      deferAcceptS: 0,
    },
    admin: { databases: ['admin'], user: 'admin', verifiers: [], md5Hashes: [], passwordTags: [] },
    users: [BENCH_USER],
    databases: [],
    hba: null,
    identMappings: [],
    tagSecret: new Uint8Array(32),
    pools: hosts.map((index) => benchPool(poolSize, index)),
    hosts: hosts.map((index) => ({ index, host: 'fake', port: 5432 + index, addresses: [] })),
    clusters: [{ database: 'bench', user: 'bench', shard: 0, pools: hosts, isRouted: hostCount > 1 }],
    routing: ROUTING,
    tls: { clients: null, servers: [] },
    mockVerifier: NO_VERIFIER,
  };
}

/** The first host is the primary. */
function benchPool(poolSize: number, index: number): PoolSnapshot {
  return {
    index,
    database: 'bench',
    user: 'bench',
    host: 'fake',
    port: 5432,
    // Never connected to: the fake driver says that it was.
    addresses: [{ family: 2, text: '127.0.0.1', sockaddr: new Uint8Array(16) }],
    serverDatabase: 'bench',
    serverUser: 'bench',
    serverPasswords: [],
    serverMd5Hashes: [],
    serverVerifiers: [],
    poolSize,
    minPoolSize: 0,
    reservePoolSize: 0,
    databaseServersMax: 0,
    userServersMax: 0,
    databaseClientsMax: 0,
    userClientsMax: 0,
    poolerMode: 'transaction',
    idleTimeoutMs: 60_000,
    serverLifetimeMs: 0,
    serverLifetimeJitterMs: 0,
    checkoutTimeoutMs: 5000,
    queryTimeoutMs: 0,
    transactionTimeoutMs: 0,
    clientIdleTimeoutMs: 0,
    clientIdleInTransactionTimeoutMs: 0,
    serverParameters: {},
    shard: 0,
    hostIndex: index,
    role: index === 0 ? 'primary' : 'replica',
    lbWeight: 255,
    tls: -1,
  };
}
