// What packaging/grafana asks Prometheus for is what the program tells it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LATENCY_METRICS, METRICS, POOL_LABELS } from 'pgdog-cluster';

const folder = new URL('../../../packaging/grafana/', import.meta.url);
const dashboard = readFileSync(new URL('dashboard.json', folder), 'utf8');
const alerts = readFileSync(new URL('alerts.yaml', folder), 'utf8');

/** Every series, with the labels it has; those of Prometheus itself come on top. */
const LABELS = new Map<string, ReadonlySet<string>>();
for (const { name, labels } of METRICS) LABELS.set(name, new Set([...labels, 'job', 'instance']));
for (const { name } of LATENCY_METRICS) {
  for (const suffix of ['bucket', 'sum', 'count']) {
    LABELS.set(`${name}_${suffix}`, new Set([...POOL_LABELS, 'le', 'job', 'instance']));
  }
}

const SELECTOR = /([a-z_][a-z0-9_]*)\{([^}]*)\}/g;
const FUNCTIONS = new Set(
  'sum avg min max count rate increase changes histogram_quantile by and or vector'.split(' '),
);

/** Both files write every metric with braces, so that none can be overlooked. */
function checkExpression(text: string): void {
  const expression = text.replaceAll('${prefix}', '');
  const known: string[] = [];
  for (const [, name, matchers] of expression.matchAll(SELECTOR)) {
    const labels = LABELS.get(name);
    assert.ok(labels !== undefined, `there is no metric ${name}: ${text}`);
    known.push(name);
    for (const [, label] of matchers.matchAll(/([a-z_]+)\s*(?:=~|!=|!~|=)/g)) {
      assert.ok(labels.has(label), `${name} has no label ${label}: ${text}`);
    }
  }
  assert.ok(known.length > 0, text);
  const rest = expression.replaceAll(SELECTOR, ' ').replaceAll(/\[[^\]]*\]/g, ' ');
  for (const [, list] of rest.matchAll(/by \(([^)]*)\)/g)) {
    for (const label of list.split(',').map((each) => each.trim())) {
      assert.ok(
        known.every((name) => LABELS.get(name)!.has(label)),
        `no label ${label}: ${text}`,
      );
    }
  }
  for (const [word] of rest.replaceAll(/by \([^)]*\)/g, ' by ').matchAll(/[a-z_][a-z0-9_]*/g)) {
    assert.ok(FUNCTIONS.has(word), `what is ${word} in ${text}?`);
  }
}

test('the dashboard asks for metrics and labels that exist, and its panels do not overlap', () => {
  const { panels, templating, annotations } = JSON.parse(dashboard);
  let expressions = 0;
  for (const { targets = [] } of panels) {
    for (const { expr } of targets) {
      checkExpression(expr);
      expressions++;
    }
  }
  assert.ok(expressions > 25);
  for (const { expr } of annotations.list) checkExpression(expr);
  for (const { type, definition } of templating.list) {
    if (type !== 'query') continue;
    const [, inner, label] = /^label_values\((.*), ([a-z]+)\)$/.exec(definition)!;
    checkExpression(inner);
    const [[, name]] = [...inner.replaceAll('${prefix}', '').matchAll(SELECTOR)];
    assert.ok(LABELS.get(name)!.has(label), definition);
  }
  const taken = new Set<string>();
  const ids = new Set<number>();
  for (const { id, gridPos } of panels) {
    assert.ok(!ids.has(id) && gridPos.x + gridPos.w <= 24);
    ids.add(id);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `panel ${id} lies on another`);
        taken.add(`${x} ${y}`);
      }
    }
  }
});

test('alert rules ask for metrics and labels that exist, and say what to do', () => {
  const rules = alerts.split('- alert: ').slice(1);
  assert.ok(rules.length >= 12);
  const names = new Set<string>();
  for (const rule of rules) {
    const [name] = rule.split('\n');
    assert.ok(name.startsWith('PgdogCluster') && !names.has(name), name);
    names.add(name);
    const field = (key: string) => new RegExp(`^ +${key}: (.+)$`, 'm').exec(rule)?.[1] ?? '';
    checkExpression(field('expr'));
    assert.match(field('labels'), /^\{ severity: (warning|critical) \}$/, name);
    assert.match(field('summary'), /^".+"$/, name);
    assert.match(field('description'), /^".+\."$/, name);
  }
});
