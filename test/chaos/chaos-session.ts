/** A client together with its model, and the checks every action shares. */
import { B, C, D, E, F, P, Q, S } from '../support/frames.js';
import type { Chance } from './chance.js';
import type { ChaosClient, ChaosTarget } from './chaos-client.js';
import { ChaosFailure, type Request } from './reply-machine.js';
import { SETTINGS, type SessionModel } from './session-model.js';

const HISTORY_MAX = 60;

/** What outlives one client: rows that must or must not be there when all are gone. */
export interface RunLedger {
  committed: Set<string>;
  /** Rolled back, or their transaction was abandoned. */
  absent: Set<string>;
  /** Another client's key, for cancels that must miss. */
  otherKeys: { pid: number; secretBytes: number }[];
}

export class ChaosSession {
  readonly id: string;
  readonly client: ChaosClient;
  readonly chance: Chance;
  readonly model: SessionModel;
  readonly ledger: RunLedger;
  readonly history: string[] = [];
  #tokens = 0;

  constructor(id: string, client: ChaosClient, chance: Chance, model: SessionModel, ledger: RunLedger) {
    this.id = id;
    this.client = client;
    this.chance = chance;
    this.model = model;
    this.ledger = ledger;
  }

  get target(): ChaosTarget {
    return this.client.target;
  }

  /** Unique over the run, and telling whose it is. */
  token(): string {
    this.#tokens += 1;
    return `${this.id}-${this.#tokens}`;
  }

  note(text: string): void {
    this.history.push(text.length > 160 ? `${text.slice(0, 160)}…` : text);
    if (this.history.length > HISTORY_MAX) this.history.shift();
  }

  // One method per message; each puts it in the next write.
  q(sql: string): Request {
    this.note(`Q ${sql}`);
    this.model.statements.delete('');
    return this.client.request('Q', Q(sql), sql);
  }

  parse(name: string, sql: string, oids: number[] = []): Request {
    this.note(`P ${name}: ${sql}`);
    // Whether the unnamed statement lives afterwards depends on where it fails; `sql` is never executed.
    if (name === '') this.model.statements.set('', { kind: 'sql', token: '', column: '' });
    return this.client.request('P', P(name, sql, oids), `Parse ${name}: ${sql}`);
  }

  bind(portal: string, statement: string, values: (string | null)[] = []): Request {
    this.note(`B ${portal} ${statement} (${values.join()})`);
    return this.client.request('B', B(portal, statement, { values }), `Bind ${portal} ${statement}`);
  }

  describe(kind: 'S' | 'P', name: string): Request {
    this.note(`D ${kind} ${name}`);
    return this.client.request(kind === 'S' ? 'DS' : 'DP', D(kind, name), `Describe ${kind} ${name}`);
  }

  execute(portal: string, rowsMax = 0): Request {
    this.note(`E ${portal} ${rowsMax}`);
    return this.client.request('E', E(portal, rowsMax), `Execute ${portal} ${this.history.at(-3) ?? ''}`);
  }

  close(kind: 'S' | 'P', name: string): Request {
    this.note(`C ${kind} ${name}`);
    return this.client.request('C', C(kind, name), `Close ${kind} ${name}`);
  }

  sync(): Request {
    this.note('S');
    return this.client.request('S', S(), 'Sync');
  }

  call(oid: number, values: string[]): Request {
    this.note(`F ${oid}`);
    return this.client.request('F', F(oid, values), `function ${oid}`);
  }

  /** Sends what was put together, sometimes in two writes, and waits for all answers. */
  async done(): Promise<void> {
    this.client.flush(this.chance.is(20) ? this.chance.between(1, 40) : 0);
    await this.client.settled();
  }

  /** One statement by either protocol, without parameters; the answer whatever it is. */
  async run(sql: string): Promise<Request> {
    if (this.chance.is(50)) {
      const request = this.q(sql);
      await this.done();
      return request;
    }
    return this.runExtended(sql);
  }

  /** Unnamed Parse, Bind, Execute, Sync. The request that failed, else the Execute. */
  async runExtended(sql: string, values: (string | null)[] = [], oids: number[] = []): Promise<Request> {
    const parse = this.parse('', sql, oids);
    const bind = this.bind('', '', values);
    const execute = this.execute('');
    this.sync();
    await this.done();
    return [parse, bind].find(({ error }) => error !== null) ?? execute;
  }

  /** The statement must succeed. */
  async ok(sql: string): Promise<Request> {
    return this.expectOk(await this.run(sql));
  }

  expectOk(request: Request): Request {
    if (request.error !== null)
      throw new ChaosFailure(`${request.sqlstate} ${request.error['M']} (${request.label})`);
    if (request.isSkipped) throw new ChaosFailure(`skipped without an error before it (${request.label})`);
    return request;
  }

  /** The statement must fail with this SQLSTATE. */
  expectError(request: Request, sqlstate: string): void {
    if (request.sqlstate !== sqlstate)
      throw new ChaosFailure(
        `expected ${sqlstate}, got ${request.error === null ? 'success' : `${request.sqlstate} ${request.error['M']}`} (${request.label})`,
      );
  }

  expectRows(request: Request, rows: (string | null)[][]): void {
    const got = JSON.stringify(request.rows);
    const wanted = JSON.stringify(rows);
    if (got !== wanted)
      throw new ChaosFailure(
        `rows ${got.slice(0, 300)} instead of ${wanted.slice(0, 300)} (${request.label})`,
      );
  }

  expectTags(request: Request, tags: string[]): void {
    if (request.tags.join() !== tags.join())
      throw new ChaosFailure(`tags ${request.tags.join()} instead of ${tags.join()} (${request.label})`);
  }

  equal(got: unknown, wanted: unknown, what: string): void {
    if (got !== wanted) throw new ChaosFailure(`${what}: ${String(got)} instead of ${String(wanted)}`);
  }

  /** Invariants between any two actions. */
  checkIdle(): void {
    const { machine } = this.client;
    this.equal(machine.lastStatus, this.model.status, 'transaction status in ReadyForQuery');
    for (const name of SETTINGS)
      if (name in machine.reported)
        this.equal(machine.reported[name], this.model.current(name), `ParameterStatus of ${name}`);
    for (const { channel, payload } of machine.notifications)
      if (channel !== this.model.channel || !payload.startsWith(`${this.id}-`))
        throw new ChaosFailure(`notification ${channel} ${payload} of another client`);
  }

  /** Inside a transaction or while pinned all statements must meet the same backend. */
  checkBackend(pid: string): void {
    if (this.model.status !== 'T' && !this.model.isPinned) return;
    if (this.model.serverPid === '') this.model.serverPid = pid;
    this.equal(pid, this.model.serverPid, 'backend within a transaction or pin');
  }
}
