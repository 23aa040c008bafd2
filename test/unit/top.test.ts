import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HEALTH_FAILING, HEALTH_GOOD, QUERY_COUNT } from '@pgdog-cluster/core';
import { Secret } from '@pgdog-cluster/core/config';
import { HttpServer, plainText, TOP_VIEWS, type TopState, topScreen } from 'pgdog-cluster';
import { freePort } from 'pgdog-cluster/demo/free-port';
import { PseudoTerminal, pseudoTerminalSkip } from '../support/pseudo-terminal.js';
import { secret } from '../support/secrets.js';
import { eventually } from '../support/wire.js';
import { type AdminWorld, makeWorld, queryReport } from './admin-fixture.js';

const TOKEN = secret('top-token-0123456789');
const PROGRAM = join(
  dirname(createRequire(import.meta.url).resolve('pgdog-cluster/package.json')),
  'bin',
  'pgdog-cluster.js',
);

let world: AdminWorld;
let server: HttpServer;
let port = 0;
let token: Secret | null = null;
let traffic: NodeJS.Timeout;

before(async () => {
  world = await makeWorld();
  world.queries = [queryReport({ query: 'SELECT \x1b[31m$1 FROM "ü\u0007"' })];
  const { counters, hosts } = world.memory;
  traffic = setInterval(() => {
    counters.cells[counters.rowBase(0, 0) + QUERY_COUNT] += 10;
  }, 20);
  hosts.setHealth(0, HEALTH_GOOD);
  hosts.setHealth(1, HEALTH_FAILING);
  server = new HttpServer(world.context, { token: () => token });
  port = await server.listen('127.0.0.1', 0);
});
after(async () => {
  clearInterval(traffic);
  await server.close();
});

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, 'top', ...args], { env: { ...process.env, ...env } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

const url = () => `http://127.0.0.1:${port}`;

describe('top --once', { timeout: 60_000 }, () => {
  it('prints one frame, plain', async () => {
    const { code, out, err } = await run(['--once', '--url', url()]);
    assert.deepEqual([code, err], [0, '']);
    const lines = out.trimEnd().split('\n');
    assert.match(lines[0], /^pgdog-cluster 0\.1\.0 {2}serving {2}up /);
    assert.match(lines[1], /^queries [1-9]\d*\/s {2}p50 - {2}p99 - {2}errors 0\/s {2}waiting 0$/);
    assert.match(out, /failing: 127\.0\.0\.2:7777/);
    assert.match(out, /^DATABASE .* Q\/S\+/m);
    assert.match(out, /^shop +app +127\.0\.0\.1:5432/m);
    assert.ok(lines.every((line) => line.length <= 100) && !out.includes('\x1b'));
  });
  it('says what is wrong, in one line, without the token', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const closed = await run(['--once', '--url', nobody]);
    assert.deepEqual([closed.code, closed.out], [1, '']);
    assert.match(closed.err, /^error: http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*\n$/);
    token = new Secret(TOKEN);
    const asked = await run(['--once', '--url', url()]);
    assert.match(asked.err, /asks for a token: set PGDOG_OPENMETRICS_TOKEN to its openmetrics_token\n$/);
    const wrong = await run(['--once', '--url', url()], { PGDOG_OPENMETRICS_TOKEN: 'another-0123456789' });
    assert.match(wrong.err, /takes another token/);
    assert.equal((await run(['--once', '--url', url()], { PGDOG_OPENMETRICS_TOKEN: TOKEN })).code, 0);
    token = null;
    for (const args of [
      ['--url', 'nonsense', '--once'],
      ['--url', 'file:///etc', '--once'],
      ['--url', url()],
    ]) {
      const { code, err } = await run(args);
      assert.deepEqual([code, err.split('\n').length], [2, 2], args.join(' '));
    }
    const none = await run(['--once', '-d', 'postgres://a:b@127.0.0.1/c']);
    assert.match(none.err, /openmetrics_port is not set/);
  });
});

describe('top at a terminal', { skip: pseudoTerminalSkip, timeout: 60_000 }, () => {
  const terminals: PseudoTerminal[] = [];
  const open = () => {
    const command = [process.execPath, PROGRAM, 'top', '--url', url()];
    const terminal = new PseudoTerminal(command, { columns: 80, rows: 24 });
    terminals.push(terminal);
    return terminal;
  };
  after(() => {
    for (const terminal of terminals) terminal.close();
  });

  it('shows figures, obeys keys, follows the size, writes what is new only, and gives the terminal back', async () => {
    const terminal = open();
    // A frame may come in parts.
    const isWhole = (lines: readonly string[]) => lines[23]?.startsWith('q quit') === true;
    await terminal.until((lines) => isWhole(lines) && lines.some((line) => line.startsWith('shop')), 'pools');
    assert.ok(terminal.screen.isAlternate && terminal.screen.isCursorHidden);
    assert.match(terminal.screen.lines[23], /^q quit/);
    assert.ok(terminal.screen.lines.every((line) => line.length <= 80));
    terminal.type('2');
    await terminal.until(
      (lines) => lines.some((line) => line.includes('failing') && line.includes('7777')),
      'servers',
    );
    terminal.type('3');
    await terminal.until(
      (lines) => lines.some((line) => line.includes('SELECT ?[31m$1 FROM "ü?"')),
      'statements',
    );
    terminal.type('4');
    await terminal.until((lines) => lines.some((line) => line.startsWith('WORKER+')), 'workers');
    terminal.type('r');
    await terminal.until((lines) => lines.some((line) => line.startsWith('WORKER-')), 'reversed');
    terminal.type('>');
    await terminal.until((lines) => lines.some((line) => line.includes('STATE+')), 'another column');
    terminal.type('1\x1b[B\x1b[A\x1b[Zp');
    await terminal.until(([line]) => line.endsWith('paused'), 'paused');
    await eventually('the rest of that frame; then nothing changes, and nothing is written', async () => {
      const before = terminal.output.length;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return terminal.output.length === before;
    });
    terminal.resize(50, 10);
    await terminal.until(
      (lines) => lines.length === 10 && lines.every((line) => line.length <= 50),
      '50 x 10',
    );
    terminal.type('q');
    assert.deepEqual(await terminal.end(), { code: 0, isCooked: true });
    assert.ok(!terminal.screen.isAlternate && !terminal.screen.isCursorHidden);
  });
  it('gives the terminal back on SIGTERM, and when there is nothing to show', async () => {
    const terminal = open();
    await terminal.until((lines) => lines.length === 24, 'figures');
    process.kill(terminal.pid, 'SIGTERM');
    assert.deepEqual(await terminal.end(), { code: 0, isCooked: true });
    assert.ok(!terminal.screen.isAlternate);
    token = new Secret(TOKEN);
    const refused = open();
    assert.deepEqual(await refused.end(), { code: 1, isCooked: true });
    assert.ok(!refused.screen.isAlternate);
    assert.match(refused.output, /asks for a token/);
    token = null;
  });
  it('says when the other side is gone, and goes on when it is back', async () => {
    const terminal = open();
    await terminal.until(([line]) => line?.endsWith('live'), 'live');
    await server.close();
    await terminal.until(([line]) => !line.endsWith('live'), 'lost');
    server = new HttpServer(world.context, { token: () => token });
    await server.listen('127.0.0.1', port);
    await terminal.until(([line]) => line.endsWith('live'), 'live again');
    terminal.type('\x03');
    assert.equal((await terminal.end()).code, 0);
  });
});

describe('the screen of top', () => {
  const state: TopState = {
    frame: null,
    history: [],
    link: 'connecting',
    view: 0,
    sort: 0,
    isReversed: false,
    offset: 0,
  };

  it('fits whatever size there is, in every view', async () => {
    const response = await fetch(`${url()}/api/status`);
    const frame = (await response.json()) as TopState['frame'];
    for (const columns of [20, 40, 80, 300]) {
      for (const rows of [1, 5, 9, 24, 100]) {
        for (const [view, { heads }] of TOP_VIEWS.entries()) {
          for (const sort of heads.keys()) {
            const lines = topScreen({ ...state, frame, view, sort, offset: 1000 }, { columns, rows });
            assert.equal(lines.length, rows);
            assert.ok(
              lines.every(({ text }) => text.length === columns),
              `${columns}x${rows} ${view}`,
            );
          }
        }
      }
    }
    assert.match(topScreen(state, { columns: 80, rows: 24 })[0].text, /connecting/);
  });

  it('lets nothing through that is no letter of one column', () => {
    assert.equal(plainText('a\x1b]0;x\x07\u009b31m\n\u202e日é'), 'a?]0;x??31m ??é');
  });
});
