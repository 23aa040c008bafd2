/** Prints one line per test file, every failure in full, what a failing file wrote, and the summary; counts tests, not suites. */
import { relative } from 'node:path';

const SHOW_SLOW_MS = 10_000;
/** Kept of what a file writes: its end. */
const OUTPUT_CHARS_MAX = 100_000;
const TEST_FILE = /\.test\.m?js$/;

/** Passed, failed, skipped and time of one file. */
function emptyRow() {
  return { passed: 0, failed: 0, skipped: 0, durationMs: 0, reasons: new Set() };
}

export class TestReport {
  #out;
  #files = new Map();
  #extra = emptyRow();
  #output = new Map();
  /** The file whose events are coming; the runner gives those of one file after the other. */
  #current = '';

  constructor(out) {
    this.#out = out;
  }

  #row(file) {
    const row = this.#files.get(file) ?? emptyRow();
    this.#files.set(file, row);
    return row;
  }

  /** A check that is no test of node:test. */
  count(name, isOk) {
    this.#extra[isOk ? 'passed' : 'failed']++;
    this.#out.write(`${isOk ? 'ok  ' : 'FAIL'} ${name}\n`);
  }

  /**
   * Takes the events of `run()`. Suites and the wrapper around each file are not counted, except when the
   * wrapper itself failed: a file that crashed or timed out with no test to blame.
   */
  async read(stream, base) {
    for await (const { type, data } of stream) {
      const file = this.#fileOf(data, base);
      if (type === 'test:stderr' || type === 'test:stdout') this.#keep(file, data.message);
      if (type !== 'test:pass' && type !== 'test:fail') continue;
      this.#moveTo(file);
      this.#result(type === 'test:pass', file, data);
    }
    this.#moveTo('');
  }

  /** Tests defined by a helper carry the helper's path: they belong to the file that is running. */
  #fileOf(data, base) {
    const file = data?.file === undefined ? '' : relative(base, data.file);
    return TEST_FILE.test(file) || this.#current === '' ? file : this.#current;
  }

  /** Ends the line of the file before. */
  #moveTo(file) {
    if (file === this.#current) return;
    if (this.#current !== '') this.#line(this.#current, this.#row(this.#current));
    this.#current = file;
  }

  #keep(file, message) {
    this.#output.set(file, ((this.#output.get(file) ?? '') + message).slice(-OUTPUT_CHARS_MAX));
  }

  #result(isPass, file, data) {
    // A file that fails as a whole is reported under its own name; one that passes is not reported at all.
    if (data.nesting === 0 && (data.name === data.file || TEST_FILE.test(data.name))) {
      this.#wholeFile(isPass, file, data);
      return;
    }
    if (data.nesting === 0) this.#row(file).durationMs += data.details?.duration_ms ?? 0;
    const isSuite = data.details?.type === 'suite';
    const row = this.#row(file);
    if (data.skip !== undefined || data.todo !== undefined) {
      row.skipped++;
      if (typeof data.skip === 'string' && data.skip !== '') row.reasons.add(data.skip);
      return;
    }
    const isOwnFailure = !isPass && data.details?.error?.failureType !== 'subtestsFailed';
    if (isPass && !isSuite) row.passed++;
    if (isOwnFailure) {
      row.failed++;
      this.#failure(file, data);
    }
    if (isPass && !isSuite && data.details?.duration_ms > SHOW_SLOW_MS) {
      this.#out.write(
        `     slow: ${file}: ${data.name} took ${(data.details.duration_ms / 1000).toFixed(1)} s\n`,
      );
    }
  }

  #wholeFile(isPass, file, data) {
    const row = this.#row(file);
    if (isPass || row.failed > 0) return;
    row.failed++;
    this.#failure(file, data);
  }

  #line(file, row) {
    const skipped = row.skipped > 0 ? `, ${row.skipped} skipped` : '';
    const seconds = `${(row.durationMs / 1000).toFixed(1)} s`;
    this.#out.write(
      `${row.failed > 0 ? 'FAIL' : 'ok  '} ${file}  (${row.passed} passed${skipped}, ${seconds})\n`,
    );
    for (const reason of row.reasons) this.#out.write(`     skipped: ${reason}\n`);
    const said = this.#output.get(file) ?? '';
    if (row.failed > 0 && said !== '') this.#out.write(`     it said:\n${said}\n`);
  }

  #failure(file, data) {
    const error = data.details?.error;
    const cause = error?.cause;
    const text = cause?.stack ?? cause?.message ?? cause ?? error?.message ?? 'no reason given';
    this.#out.write(`\nFAIL ${file}: ${data.name}\n`);
    this.#out.write(`${String(text).replaceAll(/^/gm, '     ')}\n\n`);
  }

  /** Writes the last line; gives the exit code. */
  finish() {
    const total = emptyRow();
    for (const row of [...this.#files.values(), this.#extra]) {
      total.passed += row.passed;
      total.failed += row.failed;
      total.skipped += row.skipped;
    }
    const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
    this.#out.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
    return total.failed === 0 && total.passed > 0 ? 0 : 1;
  }
}
