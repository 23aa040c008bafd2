/** A chaos report for people: figures, then each failure with what its client had done last. */
import type { ChaosReport } from './randomised-clients.js';

const HISTORY_SHOWN = 25;
const FAILURES_SHOWN = 8;

export function formatFigures(report: ChaosReport): string {
  const seconds = report.elapsedMs / 1000;
  return (
    `seed ${report.seed}: ${report.lives} clients, ${report.operations} actions in ${seconds.toFixed(1)} s, ` +
    `at most ${report.connectionsMax} server connections in ${report.samples} samples, ` +
    `${report.descriptorsBefore} descriptors before and ${report.descriptorsAfter} after, ` +
    `${report.failures.length} failures`
  );
}

export function formatReport(report: ChaosReport): string {
  const failures = report.failures
    .slice(0, FAILURES_SHOWN)
    .map(({ client, message, history }) =>
      [`* ${client}: ${message}`, ...history.slice(-HISTORY_SHOWN).map((line) => `    ${line}`)].join('\n'),
    );
  return [formatFigures(report), ...failures].join('\n');
}
