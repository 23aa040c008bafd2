import type { StatementValues } from '@pgdog-cluster/core';

/** Whether a client's texts are in another encoding than its servers', of what these have reported last. */
export class ForeignEncoding {
  private seen: ReadonlyMap<string, string> | null = null;
  isForeign = false;
  /** Of the servers'. */
  isUtf8 = true;

  /** For what is read next. */
  tell(values: Pick<StatementValues, 'isForeign' | 'isUtf8'>, reported: ReadonlyMap<string, string>): void {
    this.read(reported);
    values.isForeign = this.isForeign;
    values.isUtf8 = this.isUtf8;
  }

  private read(reported: ReadonlyMap<string, string>): void {
    if (reported !== this.seen) {
      this.seen = reported;
      const encoding = reported.get('server_encoding');
      this.isForeign = reported.get('client_encoding') !== encoding;
      this.isUtf8 = encoding === undefined || encoding === 'UTF8';
    }
  }
}
