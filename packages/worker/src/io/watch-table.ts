/** What a driver watches besides connections. */
export interface Watch {
  readonly fd: number;
  /** An eventfd, whose counter the driver takes; otherwise a listening socket. */
  readonly isCounter: boolean;
  readonly onReadable: () => void;
}

/** Eventfds and listening sockets by the driver's handles; a driver has a handful. */
export class WatchTable {
  private readonly watches = new Map<number, Watch>();

  add(handle: number, watch: Watch): void {
    this.watches.set(handle, watch);
  }

  /** The handle that `fd` had, or -1. */
  remove(fd: number): number {
    for (const [handle, watch] of this.watches) {
      if (watch.fd !== fd) continue;
      this.watches.delete(handle);
      return handle;
    }
    return -1;
  }

  at(handle: number): Watch | undefined {
    return this.watches.get(handle);
  }
}
