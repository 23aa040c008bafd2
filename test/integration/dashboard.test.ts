// The dashboard in a browser, with a real proxy and a real server behind it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { findProgram } from '../support/programs.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';

const { path: executablePath, skip } = findProgram('chromium');
const TOKEN = secret('dashboard-token-0123456789');
const EVIL = '<img src=x onerror=alert(1)>';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe('dashboard', { skip, timeout: 600_000 }, () => {
  let server: TestPostgres;
  let proxy: TestProxy;
  let browser: Browser;
  let client: pg.Client;
  let address = '';

  before(async () => {
    server = await startPostgres();
    proxy = await startProxy({
      databases: [
        databaseOf(server),
        databaseOf(server, { name: EVIL, database_name: 'postgres' }),
        // Nobody is there.
        { name: 'gone', host: '127.0.0.1', port: 1 },
      ],
      general: { min_pool_size: 0, openmetrics_token: TOKEN, healthcheck_interval: 200 },
      metrics: true,
    });
    address = `http://127.0.0.1:${proxy.metricsPort}/`;
    client = new pg.Client({ connectionString: proxy.url() });
    client.on('error', () => {});
    await client.connect();
    browser = await chromium.launch({ executablePath: executablePath!, args: FLAGS });
  });
  after(async () => {
    await browser?.close();
    await client?.end();
    await proxy?.stop();
    await server?.stop();
  });

  /** A page that has its token, and fails the test at whatever the browser complains of. */
  async function open(options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
    const page = await browser.newPage(options);
    page.on('pageerror', (error) => assert.fail(`in the page: ${error.message}`));
    page.on('dialog', () => assert.fail('something of a database was run'));
    const content = `sessionStorage.setItem('pgdog-cluster token', ${JSON.stringify(TOKEN)})`;
    await page.addInitScript({ content });
    const complaints: string[] = [];
    page.on('console', (message) => void complaints.push(message.text()));
    await page.goto(address);
    await page.locator('body.has-figures').waitFor();
    assert.deepEqual(complaints, []);
    return page;
  }

  it('asks for the token, says when it is wrong, and keeps it for the tab', async () => {
    const page = await browser.newPage();
    await page.goto(address);
    const field = page.getByLabel('openmetrics_token');
    await field.fill('not the token');
    await page.getByRole('button', { name: 'Show the figures' }).click();
    await page.getByRole('alert').getByText('That is not the token.').waitFor();
    assert.equal(await page.locator('#headline').isVisible(), false);
    await field.fill(TOKEN);
    await field.press('Enter');
    await page.locator('body.has-figures').waitFor();
    assert.equal(await field.isVisible(), false);
    await page.reload();
    await page.locator('body.has-figures').waitFor();
    assert.ok(!page.url().includes(TOKEN));
    await page.close();
  });

  it('shows what runs: figures, picture, pools, statements without literals, errors of the log', async () => {
    // Before anybody looks: the workers are asked for statements every five seconds only.
    await client.query('SELECT 4711 AS "<i>x</i>"');
    const page = await open();
    const traffic = setInterval(() => void client.query(`SELECT 4711 AS "<i>x</i>"`).catch(() => {}), 20);
    try {
      await page.locator('#shapes code', { hasText: 'SELECT $1 AS "<i>x</i>"' }).first().waitFor();
      const rate = page.locator('#headline dd.value').first();
      for (let value = 0; value < 5; ) {
        value = Number(await rate.textContent());
        await page.waitForTimeout(100);
      }
      assert.match((await rate.textContent())!, /^[0-9.]+$/);
    } finally {
      clearInterval(traffic);
    }
    const text = (await page.locator('main').textContent())!;
    assert.ok(!text.includes('4711'));
    assert.ok(!text.includes(TOKEN));
    // The clients' own names are texts.
    assert.ok((await page.locator('#cluster h3', { hasText: EVIL }).count()) === 1);
    assert.equal(await page.locator('img, i i').count(), 0);
    await page.locator('.host.bad', { hasText: '127.0.0.1:1' }).getByText('failing').waitFor();
    await page.getByRole('status').getByText('127.0.0.1:1: failing').waitFor();
    await page.locator('#events li.error, #events li.warn').first().waitFor();
    assert.match((await page.locator('#state').textContent())!, /serving/);
    await page.close();
  });

  it('goes by keyboard, and says to a screen reader what it shows', async () => {
    const page = await open();
    await page.keyboard.press('/');
    await page.keyboard.type('gone');
    await page.getByText('1 of 3 pools found').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'database' }).press('Enter');
    assert.equal(
      await page.getByRole('columnheader', { name: 'database' }).getAttribute('aria-sort'),
      'ascending',
    );
    const chart = page.locator('#latency svg');
    assert.match((await chart.getAttribute('aria-label'))!, /^the last five minutes; now p50/);
    await page.waitForTimeout(1500);
    await chart.focus();
    await chart.press('ArrowLeft');
    assert.match((await chart.getAttribute('aria-label'))!, /p99/);
    await page.locator('body').press('p');
    assert.equal(await page.locator('#link').textContent(), 'paused');
    for (const name of ['Cluster', 'Pools', 'Statements that took most time', 'Warnings and errors']) {
      assert.equal((await page.getByRole('region', { name, exact: true }).count()) > 0, true, name);
    }
    // Whatever can be reached has a name.
    const reachable = page.locator('button, input:not([hidden]), svg[tabindex], a').filter({ visible: true });
    for (const each of await reachable.all()) {
      const name = `${await each.textContent()}${(await each.getAttribute('aria-label')) ?? ''}`;
      assert.notEqual(name.trim(), '');
    }
    await page.close();
  });

  it('fits a phone, and is dark where the rest is', async () => {
    const colours: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await open({ viewport: { width: 390, height: 844 }, colorScheme });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390);
      colours.push(await page.evaluate<string>('getComputedStyle(document.body).backgroundColor'));
      await page.close();
    }
    assert.deepEqual(colours, ['rgb(246, 247, 249)', 'rgb(18, 22, 27)']);
  });

  it('has room on a phone for what waits, and for queries beside it', async () => {
    const page = await open({ viewport: { width: 390, height: 844 } });
    // The text is written and measured before the next frame can come.
    const [needed, there] = await page.evaluate<[number, number]>(`(() => {
      const text = document.querySelector('#pools td .meter-text');
      text.textContent = '12 of 20 busy, 1234 waiting 3 min 20 s';
      const scroll = text.closest('.scroll');
      return [scroll.scrollWidth, scroll.clientWidth];
    })()`);
    assert.ok(needed <= there, `${needed} pixels in ${there}`);
    await page.close();
  });

  it('tells pools of one database apart at any width', async () => {
    for (const width of [390, 900, 1300]) {
      const page = await open({ viewport: { width, height: 844 } });
      const rows = page.getByRole('region', { name: 'Pools', exact: true }).locator('tbody tr');
      // The name of its user is in nothing else of it.
      const names = rows.filter({ hasText: 'gone' }).getByText('postgres').filter({ visible: true });
      assert.equal(await names.count(), 1, String(width));
      await page.close();
    }
  });

  it('tells of a reload that failed, and of the next one', async () => {
    const page = await open();
    const file = join(proxy.directory, 'pgdog.toml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, `${text}\n[general2]\n`);
    proxy.kill('SIGHUP');
    const trouble = page.getByRole('status').getByText('The last reload');
    await trouble.waitFor();
    assert.match((await trouble.textContent())!, /failed, the former configuration stays: .*general2/);
    writeFileSync(file, text);
    proxy.kill('SIGHUP');
    await trouble.waitFor({ state: 'detached' });
    await page.locator('#about', { hasText: 'taken up at' }).waitFor();
    await page.close();
  });

  it('says so when the other side is gone', async () => {
    const page = await open();
    await proxy.stop();
    await page.locator('#link.lost, #link.connecting').waitFor();
    await page.close();
  });
});
