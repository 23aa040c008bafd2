import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogCode } from '@pgdog-cluster/core';
import { createLogger, type LogSettings } from 'pgdog-cluster';

function capture(settings: Partial<LogSettings>) {
  const lines: string[] = [];
  const logger = createLogger(
    { log_format: 'text', log_level: 'info', log_dedup_window: 0, log_dedup_threshold: 0, ...settings },
    { write: (text: string) => lines.push(text) },
  );
  return { logger, lines };
}

/** The time in front is not under test. */
const withoutTime = (line: string) => line.slice(line.indexOf(' ') + 1);

test('text: one readable line per event', () => {
  const { logger, lines } = capture({});
  logger.log('info', 'client_login' as LogCode, 'client logged in', {
    user: 'bob',
    database: 'a b',
    n: 1,
    ok: true,
    none: null,
  });
  assert.ok(!Number.isNaN(Date.parse(lines[0].split(' ')[0])));
  assert.equal(
    withoutTime(lines[0]),
    'INFO client_login client logged in user=bob database="a b" n=1 ok=true none=null\n',
  );
});

test('text: nobody forges a line or a field, or moves the cursor', () => {
  const { logger, lines } = capture({});
  logger.log('warn', 'x' as LogCode, 'line\nERROR forged \x1b[2J\x9b', {
    user: 'a\n2026 ERROR',
    other: 'a=b',
    quote: 'a"b',
    empty: '',
    esc: '\x1b]0;',
  });
  assert.equal(lines.length, 1);
  assert.equal(
    withoutTime(lines[0]),
    'WARN x line\\x0aERROR forged \\x1b[2J\\x9b user="a\\n2026 ERROR" other="a=b" quote="a\\"b" empty="" esc="\\u001b]0;"\n',
  );
});

test('json: fields nested or flat', () => {
  const nested = capture({ log_format: 'json' });
  nested.logger.log('error', 'code' as LogCode, 'text', { user: 'bob' });
  const first = JSON.parse(nested.lines[0]);
  assert.equal(first.level, 'ERROR');
  assert.equal(first.code, 'code');
  assert.deepEqual(first.fields, { message: 'text', user: 'bob' });
  const flat = capture({ log_format: 'json_flattened' });
  flat.logger.log('warn', 'code' as LogCode, 'text', { user: 'bob' });
  const second = JSON.parse(flat.lines[0]);
  assert.equal(second.level, 'WARN');
  assert.equal(second.message, 'text');
  assert.equal(second.user, 'bob');
  assert.ok(!Number.isNaN(Date.parse(second.timestamp)));
});

test('levels', () => {
  const levels = ['debug', 'info', 'warn', 'error'] as const;
  const written = (log_level: string) => {
    const { logger, lines } = capture({ log_level });
    for (const level of levels) {
      logger.log(level, 'x' as LogCode, 'y');
      assert.equal(logger.isEnabled(level), lines.at(-1)?.includes(` ${level.toUpperCase()} `) ?? false);
    }
    return lines.length;
  };
  assert.deepEqual(
    ['trace', 'debug', 'info', 'warn', 'error', 'off', 'warn,pgdog=trace'].map(written),
    [4, 4, 3, 2, 1, 0, 2],
  );
});

test('lines of one code beyond the threshold are counted, others go on', async () => {
  const { logger, lines } = capture({ log_dedup_window: 60_000, log_dedup_threshold: 2 });
  for (let round = 0; round < 5; round++) logger.log('info', 'often' as LogCode, `round ${round}`);
  logger.log('info', 'rare' as LogCode, 'once');
  assert.deepEqual(lines.map(withoutTime), [
    'INFO often round 0\n',
    'INFO often round 1\n',
    'INFO rare once\n',
  ]);
  await logger.close();
  assert.equal(withoutTime(lines[3]), 'INFO often further lines of this code were held back count=3\n');
  await logger.close();
  assert.equal(lines.length, 4, 'told once');
});

test('a new window lets lines through again', async () => {
  const { logger, lines } = capture({ log_dedup_window: 500, log_dedup_threshold: 1 });
  logger.log('info', 'x' as LogCode, 'a');
  logger.log('info', 'x' as LogCode, 'b');
  await new Promise((resolve) => setTimeout(resolve, 600));
  logger.log('info', 'x' as LogCode, 'c');
  assert.equal(lines.length, 3);
  assert.ok(lines[1].includes('held back count=1'));
  await logger.close();
});
