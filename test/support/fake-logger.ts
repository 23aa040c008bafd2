import type { LogFields, Logger } from 'pgdog-cluster';

export interface LoggedLine {
  level: string;
  code: string;
  message: string;
  fields: LogFields;
}

/** Keeps every line, so that a test can look for one. */
export class FakeLogger implements Logger {
  readonly lines: LoggedLine[] = [];

  log(level: string, code: string, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, code, message, fields });
  }

  isEnabled(): boolean {
    return true;
  }

  async close(): Promise<void> {}

  of(code: string): LoggedLine[] {
    return this.lines.filter((line) => line.code === code);
  }
}
