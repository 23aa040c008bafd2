import type { AdminCaller, AdminContext } from '../admin/admin-context.js';
import { findShow, SHOWS } from '../admin/command-table.js';
import { BOUNCER_DATABASE } from '../admin/show-table.js';
import { JSON_TYPE, type Page, plain } from './page.js';

const PREFIX = '/show/';
/** Pages on their way: some ask every worker, a few every shard. */
const PAGES_MAX = 4;

/** `GET /show/<name>`: any SHOW as JSON, a list of rows; `/show/pgbouncer/<name>` with PgBouncer's columns. */
export class ShowPages {
  readonly #context: AdminContext;
  #running = 0;

  constructor(context: AdminContext) {
    this.#context = context;
  }

  static serves(path: string): boolean {
    return path.startsWith(PREFIX);
  }

  async page(path: string): Promise<Page> {
    const parts = path.slice(PREFIX.length).toLowerCase().split('/');
    const isBouncer = parts.length === 2 && parts[0] === BOUNCER_DATABASE;
    const name = isBouncer ? parts[1] : parts.join('/');
    const database = isBouncer ? BOUNCER_DATABASE : this.#context.config().admin.databases[0];
    const caller: AdminCaller = { database: database ?? '', user: '', isAdmin: true };
    const show = findShow(caller.database, name ?? '');
    if (show === undefined) {
      const known = SHOWS.map((one) => one.name).join(', ');
      return plain(404, `no such table; there are: ${known}`);
    }
    if (this.#running >= PAGES_MAX) {
      return plain(503, 'other tables are being made', { 'retry-after': '1' });
    }
    this.#running++;
    try {
      const rows = await show.records(this.#context, caller);
      return { status: 200, contentType: JSON_TYPE, body: `${JSON.stringify(rows)}\n` };
    } finally {
      this.#running--;
    }
  }
}
