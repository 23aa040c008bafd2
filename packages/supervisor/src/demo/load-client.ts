/**
 * Entry of the demo's load process: node-postgres clients through the proxy, half of the transactions in the
 * manner of TPC-B, half point reads. A process of its own, so that its work is not the supervisor's.
 *
 * Arguments: port, number of clients. Sends a LoadReport to the parent every second; ends when the parent says
 * so or is gone.
 */
import pg from 'pg';
import { DEMO_DATABASE } from './demo-configuration.js';
import { LatencyWindow } from './latency-window.js';
import type { LoadReport } from './load.js';
import { ACCOUNT_COUNT, branchOf, CUSTOMER_COUNT, TELLER_COUNT } from './sample-data.js';

const REPORT_PERIOD_MS = 1000;
const RETRY_MS = 500;

const port = Number(process.argv[2]);
const clientCount = Number(process.argv[3]);
const latencies = new LatencyWindow();
let failedCount = 0;
let lastError = '';
let isStopping = false;

function randomUpTo(max: number): number {
  return 1 + Math.floor(Math.random() * max);
}

function openClient(user: string, password: string, database: string): pg.Client {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user,
    password,
    database,
    application_name: 'demo load',
  });
  client.on('error', () => undefined);
  return client;
}

/** Of ten, one is paid in at a teller of another branch, which is on another shard as a rule. */
const FOREIGN_SHARE = 0.1;

async function transfer(client: pg.Client): Promise<void> {
  const account = randomUpTo(ACCOUNT_COUNT);
  const branch = branchOf(account);
  // Tellers of one branch are as far apart as there are branches.
  const teller =
    Math.random() < FOREIGN_SHARE ? randomUpTo(TELLER_COUNT) : 1 + ((account - 1) % TELLER_COUNT);
  const tellerBranch = branchOf(teller);
  const delta = randomUpTo(10_000) - 5_000;
  await client.query('BEGIN');
  await client.query('UPDATE accounts SET balance = balance + $1 WHERE id = $2 AND branch_id = $3', [
    delta,
    account,
    branch,
  ]);
  await client.query('SELECT balance FROM accounts WHERE id = $1 AND branch_id = $2', [account, branch]);
  // Accounts, tellers, branches, always in this order: no two clients wait for each other.
  await client.query('UPDATE tellers SET balance = balance + $1 WHERE id = $2 AND branch_id = $3', [
    delta,
    teller,
    tellerBranch,
  ]);
  await client.query('UPDATE branches SET balance = balance + $1 WHERE id = $2', [delta, tellerBranch]);
  await client.query('INSERT INTO history VALUES ($1, $2, $3, $4, $5)', [
    account,
    teller,
    tellerBranch,
    delta,
    new Date(),
  ]);
  await client.query('COMMIT');
}

async function look(client: pg.Client): Promise<void> {
  await client.query('SELECT name, country FROM customers WHERE id = $1', [randomUpTo(CUSTOMER_COUNT)]);
}

/** One client until the end; a failed transaction costs it its connection, as in most applications. */
async function work(): Promise<void> {
  while (!isStopping) {
    const client = openClient('postgres', 'postgres', DEMO_DATABASE);
    try {
      await client.connect();
      while (!isStopping) {
        const startMs = performance.now();
        await (Math.random() < 0.5 ? transfer(client) : look(client));
        latencies.add(performance.now() - startMs);
      }
    } catch (error) {
      failedCount++;
      lastError = error instanceof Error ? error.message : String(error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    await client.end().catch(() => undefined);
  }
}

let admin: pg.Client | undefined;

interface ServerFigures {
  active: number;
  open: number;
  /** Transactions so far on each shard. */
  transactions: number[];
}

/** Of the database of the load; null when the admin database does not answer. */
async function serverFigures(): Promise<ServerFigures | null> {
  try {
    if (admin === undefined) {
      admin = openClient('admin', 'admin', 'admin');
      await admin.connect();
    }
    const { rows } = await admin.query('SHOW POOLS');
    const sum = (column: string): number => rows.reduce((total, row) => total + Number(row[column] ?? 0), 0);
    const stats = (await admin.query('SHOW STATS')).rows.filter(({ database }) => database === DEMO_DATABASE);
    const transactions: number[] = [];
    for (const { shard, total_xact_count } of stats) transactions[Number(shard)] = Number(total_xact_count);
    return { active: sum('sv_active'), open: sum('sv_active') + sum('sv_idle'), transactions };
  } catch {
    admin = undefined;
    return null;
  }
}

let before: number[] = [];

async function report(): Promise<void> {
  const servers = await serverFigures();
  const transactions = servers?.transactions ?? [];
  const shards = transactions.map((count, shard) => count - (before[shard] ?? count));
  before = transactions;
  const message: LoadReport = { ...latencies.take(), failedCount, lastError, servers, shards };
  if (process.connected) process.send?.(message);
}

// The parent has Ctrl-C too and tells us when to stop; dying on our own would look like failed clients.
process.on('SIGINT', () => undefined);
process.on('message', () => {
  isStopping = true;
});
process.on('disconnect', () => process.exit(0));
setInterval(() => void report(), REPORT_PERIOD_MS);
await Promise.all(Array.from({ length: clientCount }, work));
await admin?.end().catch(() => undefined);
process.exit(0);
