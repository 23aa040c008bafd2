/** What workers tell of their memory, for SHOW PREPARED, SHOW CLIENT MEMORY and SHOW SERVER MEMORY. */

/** One distinct prepared statement of one worker. */
export interface PreparedReport {
  worker: number;
  /** On servers. */
  name: string;
  /** Without literals. */
  statement: string;
  /** Names of clients that mean it. */
  references: number;
  bytes: number;
}

/** Bytes of one connection. */
export interface BufferBytes {
  /** Received, and not passed on yet. */
  used: number;
  /** Kept for that, and for what may have to be sent again. */
  allocated: number;
  /** Texts of prepared statements; of a server connection the names of those it has. */
  prepared: number;
  /** To be sent. */
  queued: number;
}

export interface ClientMemoryReport {
  worker: number;
  slot: number;
  user: string;
  database: string;
  addr: string;
  port: number;
  bytes: BufferBytes;
}

export interface ServerMemoryReport {
  worker: number;
  pool: number;
  remotePid: number;
  bytes: BufferBytes;
}
