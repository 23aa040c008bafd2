import {
  type ConfigSnapshot,
  type DatabaseSnapshot,
  type PoolSnapshot,
  placementDigest,
  type ShardCatalogData,
  type ShardingSnapshot,
  type UserSnapshot,
} from '@pgdog-cluster/core';

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

const GENERAL: ConfigSnapshot['general'] = {
  authType: 'trust',
  passthrough: 'off',
  isPlainAllowedWithoutTls: false,
  lookupsMax: 1,
  shardLookupBytes: 1 << 20,
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
  logMinParseMs: 0,
  logTextBytes: 0,
  statsPeriodMs: 15_000,
  uniqueIds: { form: 'standard', node: 0, min: 0 },
};

/** pgbench_accounts by its aid. */
function benchSharding(shardCount: number): { sharding: ShardingSnapshot; catalog: ShardCatalogData } {
  const sharding: ShardingSnapshot = {
    shardCount,
    tables: [
      {
        schema: null,
        table: 'pgbench_accounts',
        column: 'aid',
        keyType: 'int4',
        function: 'hash',
        mapping: [],
        lookupQuery: null,
        lookupResult: 'value',
      },
    ],
    schemas: [],
    omnisharded: [],
    crossShard: 'full',
    isOmniSticky: false,
    commit: 'two_phase',
  };
  const column = { type: 'pg_catalog.int4', typmod: -1, isDomain: false, isNotNull: true } as const;
  const rest = { isByteOrdered: true, isDeterministic: true, defaultText: null, generated: '' } as const;
  const catalog: ShardCatalogData = {
    database: 'bench',
    version: 1,
    canPrepare: true,
    placedBy: placementDigest(sharding),
    relations: [
      {
        schema: 'public',
        name: 'pgbench_accounts',
        kind: 'table',
        placement: 'sharded',
        columns: ['aid', 'abalance'].map((name) => ({ name, ...column, ...rest })),
        keyColumn: 0,
        rule: 0,
        viewText: null,
        parents: [],
        uniques: [],
        foreignKeys: [],
        hasTriggers: false,
        hasRules: false,
        hasRowSecurity: false,
      },
    ],
    searchPaths: {},
    schemas: ['public'],
    functions: [],
    textOrder: 'bytes',
    differences: [],
  };
  return { sharding, catalog };
}

/**
 * The defaults of the configuration, but for logins, which are not what is measured, and logs.
 * @param shardCount more than one: of one host each
 */
export function benchConfig(poolSize: number, hostCount: number, shardCount: number): ConfigSnapshot {
  const isSharded = shardCount > 1;
  const hosts = Array.from({ length: isSharded ? shardCount : hostCount }, (_, index) => index);
  const sharded = isSharded ? benchSharding(shardCount) : null;
  const clusters = isSharded
    ? hosts.map((shard) => ({ database: 'bench', user: 'bench', shard, pools: [shard], isRouted: true }))
    : [{ database: 'bench', user: 'bench', shard: 0, pools: hosts, isRouted: hostCount > 1 }];
  return {
    epoch: 1,
    general: GENERAL,
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
    databases: sharded === null ? [] : [shardedDatabase(sharded.sharding)],
    ...(sharded === null ? {} : { catalogs: [sharded.catalog] }),
    hba: null,
    identMappings: [],
    tagSecret: new Uint8Array(32),
    pools: hosts.map((index) => benchPool(poolSize, index, isSharded)),
    hosts: hosts.map((index) => ({ index, host: 'fake', port: 5432 + index, addresses: [] })),
    clusters,
    routing: ROUTING,
    tls: { clients: null, servers: [] },
    mockVerifier: NO_VERIFIER,
  };
}

function shardedDatabase(sharding: ShardingSnapshot): DatabaseSnapshot {
  return { name: 'bench', hasAuthQuery: false, strangerPoolSize: 1, sharding };
}

/** The first host is the primary; of shards each is. */
function benchPool(poolSize: number, index: number, isSharded: boolean): PoolSnapshot {
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
    shard: isSharded ? index : 0,
    hostIndex: index,
    role: isSharded || index === 0 ? 'primary' : 'replica',
    lbWeight: 255,
    tls: -1,
  };
}
