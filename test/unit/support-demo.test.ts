// The demo as a user meets it: starts, serves, survives being killed, leaves nothing behind.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import pg from 'pg';
import { demoDirectory, lockDemo } from 'pgdog-cluster/demo/demo-state';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { LatencyWindow } from 'pgdog-cluster/demo/latency-window';
import { clearLeftovers, commandLine, lockedBy } from 'pgdog-cluster/demo/leftovers';
import { statusLine } from 'pgdog-cluster/demo/load';
import { findRunAs, isReachableByOthers } from 'pgdog-cluster/demo/postgres-binaries';
import { TOUR } from 'pgdog-cluster/demo/tour';
import { styleFor, welcomeText } from 'pgdog-cluster/demo/welcome';
import { PATIENCE_MS } from '../support/patience.js';
import { RawClient } from '../support/raw-client.js';
import { ROOT } from '../support/tree.js';

describe('parts of the demo', () => {
  it('runs servers as postgres, else nobody, never as root', () => {
    const passwd = 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n';
    assert.deepEqual(findRunAs(passwd, true), { uid: 65534, gid: 65534 });
    assert.deepEqual(findRunAs(`${passwd}postgres:x:70:71::/:/bin/sh\n`, true), { uid: 70, gid: 71 });
    assert.deepEqual(findRunAs('', false), {});
    assert.throws(() => findRunAs('postgres:x:0:0::/:/bin/sh\n', true), /neither a user postgres nor nobody/);
  });
  it('sees whether others may enter', () => {
    const closed = mkdtempSync(join(tmpdir(), 'pgdog-closed-'));
    assert.equal(isReachableByOthers(join(closed, 'file')), false);
    assert.equal(isReachableByOthers('/usr/bin/env'), true);
    rmSync(closed, { recursive: true });
  });
  it('takes over the lock of a dead process, and of one that is something else', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-lock-'));
    const lock = join(directory, 'demo.pid');
    for (const content of ['999999999\n', `${process.ppid}\n`, 'rubbish', '']) {
      writeFileSync(lock, content);
      lockDemo(directory)();
      assert.equal(lockedBy(lock), 0);
    }
    const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'demo']);
    while (!commandLine(holder.pid ?? 0).endsWith(' demo'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(lock, `${holder.pid}\n`);
    assert.throws(() => lockDemo(directory), new RegExp(`another demo \\(process ${holder.pid}\\)`));
    writeFileSync(join(directory, 'postmaster.pid'), `${holder.pid}\n`);
    await clearLeftovers(directory);
    assert.deepEqual(readdirSync(directory), ['demo.pid']);
    assert.equal(holder.exitCode ?? holder.signalCode, null, 'a process that is not ours is left alone');
    holder.kill();
    rmSync(directory, { recursive: true });
  });
  it('summarises latencies and says so in one line', () => {
    const window = new LatencyWindow();
    for (let ms = 1; ms <= 200; ms++) window.add(ms);
    assert.deepEqual(window.take(), { count: 200, meanMs: 100.5, p99Ms: 198 });
    assert.deepEqual(window.take(), { count: 0, meanMs: 0, p99Ms: 0 });
    const report = {
      count: 3120,
      meanMs: 5.12,
      p99Ms: 14,
      failedCount: 0,
      lastError: '',
      servers: { active: 9, open: 12 },
      shards: [1010, 1204, 1198],
    };
    assert.equal(
      statusLine(report, 16),
      'load  3,120 tps (shards 1,010 + 1,204 + 1,198) · mean 5.1 ms · p99 14.0 ms · 9 of 12 server connections in use · 16 clients',
    );
    assert.match(
      statusLine({ ...report, servers: null, shards: [], failedCount: 2, lastError: 'gone' }, 1),
      / tps · mean .*unknown.*2 failed \(gone\)/,
    );
  });
  it('prints lines to paste, coloured on terminals only', () => {
    const facts = {
      port: 6432,
      metricsPort: 9090,
      workers: 2,
      ioDriver: 'epoll',
      serverPorts: [1, 2, 3],
      hasLoad: false,
      startMs: 900,
      isReused: true,
    };
    const plain = welcomeText(facts, styleFor(false, {}));
    for (const line of [
      'PGPASSWORD=postgres psql -h 127.0.0.1 -p 6432 -U postgres',
      'DATABASE_URL=postgres://postgres:postgres@127.0.0.1:6432/postgres',
      'SHOW pgdog.shards',
      'SHOW POOLS',
      ...TOUR.flatMap(({ statements, error = '' }) => [...statements, error]),
      'curl http://127.0.0.1:9090/metrics',
      'npm run demo -- --load',
    ]) {
      assert.ok(plain.includes(line), line);
    }
    assert.ok(
      !plain.includes('\x1b') && !welcomeText(facts, styleFor(true, { NO_COLOR: '1' })).includes('\x1b'),
    );
    assert.ok(welcomeText(facts, styleFor(true, {})).includes('\x1b['));
  });
});

describe('demo', () => {
  let port = 0;
  let directory = '';
  const running: ChildProcess[] = [];
  before(async () => {
    port = await freePort();
    directory = demoDirectory(port);
  });
  // One failure must not hold the port for those that follow.
  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL');
    }
  });
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function start(...args: string[]): ChildProcess & { text(): string } {
    const program = join(ROOT, 'packages', 'supervisor', 'bin', 'pgdog-cluster.js');
    const child = spawn(process.execPath, [program, 'demo', '--port', String(port), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output += String(chunk);
    });
    running.push(child);
    return Object.assign(child, { text: () => output });
  }
  async function until(child: { text(): string; exitCode: number | null }, word: string): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    while (!child.text().includes(word)) {
      assert.ok(
        child.exitCode === null && performance.now() < deadlineMs,
        `no '${word}' in:\n${child.text()}`,
      );
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  /** Exit code after a signal, and how long it took. */
  async function end(
    child: ChildProcess,
    signal: NodeJS.Signals,
  ): Promise<{ code: number | null; ms: number }> {
    const startMs = performance.now();
    child.kill(signal);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, ms: performance.now() - startMs };
  }
  /** Within 2 s of Ctrl-C; where others have the machine another one may have to be tried. */
  async function endsSoon(first: ReturnType<typeof start>, ...args: string[]): Promise<void> {
    for (let demo = first, round = 1; ; round++) {
      const { code, ms } = await end(demo, 'SIGINT');
      assert.ok(code === 0 && (ms < 2000 || round < 4), `${code} after ${ms} ms:\n${demo.text()}`);
      if (ms < 2000) return;
      demo = start(...args);
      await until(demo, args.length === 0 ? 'Ctrl-C stops' : 'server connections in use');
    }
  }
  /** Processes that name our state directory: servers, guards. */
  function leftovers(): string[] {
    return readdirSync('/proc').filter(
      (name) => Number(name) > 0 && commandLine(Number(name)).includes(directory),
    );
  }
  async function ask(database: string, sql: string): Promise<(string | null)[][]> {
    const client = await RawClient.connect({ port, password: 'postgres', database });
    const { rows } = await client.query(sql);
    await client.end();
    return rows;
  }

  it('starts, holds the rows it promises, stops within 2 s of Ctrl-C', async () => {
    const demo = start();
    await until(demo, 'Ctrl-C stops');
    assert.deepEqual(await ask('postgres', 'select count(*) from customers'), [['3000']]);
    let sum = 0;
    for (let shard = 0; shard < 3; shard++) {
      const [[count]] = await ask(`shard_${shard}`, 'select count(*) from customers');
      assert.ok(Number(count) > 900 && Number(count) < 1100, `${count} on shard ${shard}`);
      sum += Number(count);
    }
    assert.equal(sum, 3000);
    assert.equal((await ask('postgres', 'SHOW pgdog.shards')).length > 0, true);
    await endsSoon(demo);
    assert.deepEqual(leftovers(), []);
  });
  it('answers every statement of its tour as the tour says', async () => {
    const demo = start();
    await until(demo, 'Ctrl-C stops');
    const credits = "SELECT string_agg(credit::text, ' ' ORDER BY id) FROM customers";
    const onShards = async () =>
      (await Promise.all([0, 1, 2].map((shard) => ask(`shard_${shard}`, `${credits} WHERE id < 3`)))).flat(2);
    const before = await onShards();
    assert.deepEqual(before.toSorted(), ['1000.00', '1000.00', null], 'customers 1 and 2 are on two shards');
    const answers = new Map<string, string>();
    for (const { statements, error, isAdmin } of TOUR) {
      const client = new pg.Client(
        isAdmin === true
          ? `postgres://admin:admin@127.0.0.1:${port}/admin`
          : `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
      );
      await client.connect();
      for (const statement of statements) {
        const answer = client.query({ text: statement, rowMode: 'array' });
        if (error !== undefined && statement === statements.at(-1)) {
          await assert.rejects(answer, { code: '0A000', message: error });
        } else answers.set(statement, JSON.stringify((await answer).rows));
      }
      await client.end();
    }
    const answerTo = (part: string): string =>
      [...answers].find(([statement]) => statement.includes(part))?.[1] ?? assert.fail(part);
    assert.equal(answerTo('id = 42'), '[["Grace Arnold","grace.arnold42@example.com"]]');
    assert.match(answerTo('LIMIT 5'), /^\[\["3000",.*\["2999",.*\["2998",.*\["2997",.*\["2996",/);
    assert.equal(
      (JSON.parse(answerTo('GROUP BY status')) as string[][]).reduce(
        (all, [, count]) => all + Number(count),
        0,
      ),
      24_000,
    );
    assert.match(answerTo('EXPLAIN'), /Shards: all 3 shards/);
    const [[onOne]] = JSON.parse(answerTo('count(*) FROM customers')) as string[][];
    assert.ok(Number(onOne) > 900 && Number(onOne) < 1100, onOne);
    assert.match(answerTo('SHARDED_TABLES'), /"customers","table","sharded".*"products","table","omni"/);
    assert.equal(answerTo('SHOW TRANSACTIONS'), '[]');
    assert.deepEqual(
      (await onShards()).toSorted(),
      ['1005.00', '995.00', null],
      'the transaction was committed on both',
    );
    assert.equal((await end(demo, 'SIGINT')).code, 0);
  });
  it('starts again at once after kill -9, of itself or of everything', async () => {
    const first = start();
    await until(first, 'Ctrl-C stops');
    await end(first, 'SIGKILL');
    const second = start();
    await until(second, 'sample data of the last start');
    const all = leftovers().map(Number);
    assert.ok(all.length >= 3, 'servers run');
    for (const pid of all) process.kill(pid, 'SIGKILL');
    await end(second, 'SIGKILL');
    const third = start();
    await until(third, 'Ctrl-C stops');
    const fourth = start();
    assert.equal(await new Promise((resolve) => fourth.once('close', resolve)), 1);
    assert.match(fourth.text(), new RegExp(`port ${port} is in use`));
    assert.equal((await end(third, 'SIGTERM')).code, 0);
    assert.deepEqual(leftovers(), []);
  });
  it('makes damaged data again', async () => {
    rmSync(join(directory, 'server-1', 'global', 'pg_control'));
    const demo = start();
    await until(demo, 'fresh sample data');
    assert.equal((await end(demo, 'SIGINT')).code, 0);
  });
  it('runs the load, shows it, and stops with it', async () => {
    const demo = start('--load');
    await until(demo, 'server connections in use');
    await endsSoon(demo, '--load');
    assert.match(demo.text(), /load +[\d,]+ tps \(shards [\d,]+ \+ [\d,]+ \+ [\d,]+\) · mean \d/);
    assert.ok(!demo.text().includes('failed'), demo.text());
    assert.deepEqual(leftovers(), []);
  });
  it('Ctrl-C during the start is no error', async () => {
    for (const delayMs of [150, 300, 450]) {
      const demo = start();
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      const { code } = await end(demo, 'SIGINT');
      assert.ok(
        code === 0 || (code === null && demo.text() === ''),
        `${code} after ${delayMs} ms:\n${demo.text()}`,
      );
    }
    assert.deepEqual(leftovers(), []);
  });
});

it('the commands of the README exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['demo', 'test', 'bench'])
    assert.equal(scripts[name], `node scripts/bootstrap.mjs ${name}`);
  assert.match(execFileSync('cat', [join(ROOT, '.ci', 'run')], { encoding: 'utf8' }), /^npm test$/m);
});
