/** Whether a client's texts are in another encoding than its servers', of what these have reported last. */
export class ForeignEncoding {
  private seen: ReadonlyMap<string, string> | null = null;
  private isForeign = false;

  of(reported: ReadonlyMap<string, string>): boolean {
    if (reported !== this.seen) {
      this.seen = reported;
      this.isForeign = reported.get('client_encoding') !== reported.get('server_encoding');
    }
    return this.isForeign;
  }
}
