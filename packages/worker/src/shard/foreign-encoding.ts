/** Whether a client's texts are in another encoding than its servers', of what these have reported last. */
export class ForeignEncoding {
  private seen: ReadonlyMap<string, string> | null = null;
  isForeign = false;
  /** Of the servers'. */
  isUtf8 = true;

  read(reported: ReadonlyMap<string, string>): this {
    if (reported !== this.seen) {
      this.seen = reported;
      const encoding = reported.get('server_encoding');
      this.isForeign = reported.get('client_encoding') !== encoding;
      this.isUtf8 = encoding === undefined || encoding === 'UTF8';
    }
    return this;
  }
}
