import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginBudget } from '@pgdog-cluster/worker';

/** Runs turns of 0.1 ms in which logins take steps of `stepUs` while they may; returns the time they got. */
function loginTime(budget: LoginBudget, durationUs: number, stepUs: number, connectedMs: number): number {
  const spentUs = budget.spentUs;
  for (let nowUs = startUs; nowUs < startUs + durationUs; nowUs += 100) {
    const nowMs = Math.floor(nowUs / 1000);
    if (connectedMs >= 0) budget.noteRequest(connectedMs, nowMs);
    budget.beginTurn(nowUs, nowMs);
    if (budget.hasTime) budget.spend(stepUs);
  }
  startUs += durationUs;
  return budget.spentUs - spentUs;
}

let startUs = 10_000_000;

test('nobody is being served: logins have all of the time', () => {
  const budget = new LoginBudget();
  assert.equal(loginTime(budget, 100_000, 100, -1), 100_000);
  assert.equal(budget.waitMs, 0);
});

test('clients that have just come are no reason to wait: some connect for each transaction', () => {
  const budget = new LoginBudget();
  const connectedMs = startUs / 1000;
  assert.equal(loginTime(budget, 500_000, 100, connectedMs), 500_000);
});

test('while others are being served, a fifth of the time, the kernel included', () => {
  const budget = new LoginBudget();
  const settledMs = startUs / 1000 - 1000;
  // What was saved is spent first.
  loginTime(budget, 20_000, 100, settledMs);
  const tookUs = loginTime(budget, 1_000_000, 100, settledMs);
  assert.ok(tookUs > 165_000 && tookUs <= 200_000, `${tookUs} us`);
  assert.ok(budget.waitMs <= 1);
});

test('one long step is paid for afterwards, but not without end', () => {
  const budget = new LoginBudget();
  const settledMs = startUs / 1000 - 5000;
  loginTime(budget, 1000, 1, settledMs);
  budget.spend(7000);
  assert.ok(!budget.hasTime);
  assert.ok(budget.waitMs >= 25 && budget.waitMs <= 35, `${budget.waitMs} ms`);
  budget.spend(1_000_000);
  assert.equal(budget.waitMs, 100);
});

test('a tenth of a second after the last request logins have all of it again', () => {
  const budget = new LoginBudget();
  loginTime(budget, 50_000, 100, startUs / 1000 - 5000);
  assert.ok(loginTime(budget, 90_000, 100, -1) < 30_000);
  loginTime(budget, 20_000, 100, -1);
  assert.equal(loginTime(budget, 50_000, 100, -1), 50_000);
});
