/**
 * Entry of the demo's load process: node-postgres clients through the proxy, half of the transactions in the
 * manner of TPC-B, half point reads. A process of its own, so that its work is not the supervisor's.
 *
 * Arguments: port, number of clients. Sends a LoadReport to the parent every second; ends when the parent says
 * so or is gone.
 */
import pg from 'pg';
import { LatencyWindow } from './latency-window.js';
import type { LoadReport } from './load.js';
import { ACCOUNT_COUNT, TELLER_COUNT } from './sample-data.js';

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

async function transfer(client: pg.Client): Promise<void> {
  const account = randomUpTo(ACCOUNT_COUNT);
  const teller = randomUpTo(TELLER_COUNT);
  const delta = randomUpTo(10_000) - 5_000;
  await client.query('BEGIN');
  await client.query('UPDATE accounts SET balance = balance + $1 WHERE id = $2', [delta, account]);
  await client.query('SELECT balance FROM accounts WHERE id = $1', [account]);
  const { rows } = await client.query(
    'UPDATE tellers SET balance = balance + $1 WHERE id = $2 RETURNING branch_id',
    [delta, teller],
  );
  const branch: unknown = rows[0].branch_id;
  await client.query('UPDATE branches SET balance = balance + $1 WHERE id = $2', [delta, branch]);
  await client.query('INSERT INTO history VALUES ($1, $2, $3, $4, now())', [account, teller, branch, delta]);
  await client.query('COMMIT');
}

async function look(client: pg.Client): Promise<void> {
  await client.query('SELECT name, country FROM customers WHERE id = $1', [randomUpTo(3000)]);
}

/** One client until the end; a failed transaction costs it its connection, as in most applications. */
async function work(): Promise<void> {
  while (!isStopping) {
    const client = openClient('postgres', 'postgres', 'postgres');
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

/** Server connections in use and open, over all pools; null when the admin database does not answer. */
async function serverConnections(): Promise<{ active: number; open: number } | null> {
  try {
    if (admin === undefined) {
      admin = openClient('admin', 'admin', 'admin');
      await admin.connect();
    }
    const { rows } = await admin.query('SHOW POOLS');
    const sum = (column: string): number => rows.reduce((total, row) => total + Number(row[column] ?? 0), 0);
    return { active: sum('sv_active'), open: sum('sv_active') + sum('sv_idle') };
  } catch {
    admin = undefined;
    return null;
  }
}

async function report(): Promise<void> {
  const servers = await serverConnections();
  const message: LoadReport = { ...latencies.take(), failedCount, lastError, servers };
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
