/** The log of a proxy that runs with `log_format = "json_flattened"`, as it stands. */
import type { TestProxy } from './proxy.js';
import { eventually } from './wire.js';

export interface LogEntry extends Record<string, unknown> {
  level: string;
  code: string;
  message: string;
}

export const JSON_LOG = { log_format: 'json_flattened' };

/** Lines of a code, oldest first. */
export function logLines({ output }: TestProxy, code: string): LogEntry[] {
  const lines: LogEntry[] = [];
  // The last one may be there in part.
  for (const line of output.split('\n').slice(0, -1)) {
    if (!line.startsWith('{')) continue;
    const entry = JSON.parse(line) as LogEntry;
    if (entry.code === code) lines.push(entry);
  }
  return lines;
}

/** The next line of a code that `accepts`, among those behind the first `from`. */
export async function logLine(
  proxy: TestProxy,
  code: string,
  accepts: (line: LogEntry) => boolean,
  from = 0,
): Promise<LogEntry> {
  let found: LogEntry | undefined;
  const find = (): boolean => {
    found = logLines(proxy, code).slice(from).find(accepts);
    return found !== undefined;
  };
  await eventually(`a line ${code}`, async () => find());
  return found as LogEntry;
}
