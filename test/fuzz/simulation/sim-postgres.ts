/**
 * As much of Postgres as the protocol shows: ready status, skipping to Sync, COPY IN, prepared statements,
 * portals, and the ways in which it answers nonsense. Written from the protocol pages and from what the server was
 * seen to do; it knows nothing of the proxy. A liar breaks some of its answers.
 */
import { backend, frame, int16 } from '../../support/frames.js';
import { mutate } from '../byte-mutations.js';
import type { FuzzRandom } from '../fuzz-random.js';
import { BACKEND_MAKERS } from '../message-grammar.js';
import type { PeerSocket, SimPeer } from './sim-driver.js';

const CANCEL_REQUEST = 80877102;
/** SSLRequest and GSSENCRequest: declined, by one byte that is no frame. */
const ENCRYPTION_REQUESTS = [80877103, 80877104];
const FRAME_BYTES_MAX = 1 << 30;
const COMMANDS = [
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SET',
  'RESET',
  'DISCARD',
  'SAVEPOINT',
  'PREPARE',
  'EXECUTE',
  'DEALLOCATE',
  'LISTEN',
  'UNLISTEN',
  'NOTIFY',
  'CREATE',
  'CLOSE',
  'DECLARE',
  'DO',
  'INSERT',
];
const ENDS_BLOCK = ['COMMIT', 'ROLLBACK'];

class SqlFailure extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

export interface SimPostgresOptions {
  random: FuzzRandom;
  /** One answer in so many is a lie; 0 = never. */
  lieOneIn: number;
}

export class SimPostgres implements SimPeer {
  socket: PeerSocket | null = null;
  private readonly options: SimPostgresOptions;
  private received: Buffer = Buffer.alloc(0);
  private isStarted = false;
  private isOver = false;
  private status: 'I' | 'T' | 'E' = 'I';
  private isSkipping = false;
  private copyIn: 'no' | 'query' | 'execute' = 'no';
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, string>();
  private answer: Buffer[] = [];
  private hasLied = false;

  constructor(options: SimPostgresOptions) {
    this.options = options;
  }

  attach(socket: PeerSocket): void {
    this.socket = socket;
  }

  opened(): void {}

  closed(): void {
    this.isOver = true;
  }

  receive(bytes: Buffer): void {
    if (this.isOver) return;
    this.received = Buffer.concat([this.received, bytes]);
    if (!this.isStarted && !this.startup()) return;
    for (;;) {
      if (this.isOver || this.received.length < 5) return;
      const length = this.received.readUInt32BE(1);
      if (length < 4 || length > FRAME_BYTES_MAX) {
        this.fatal('08P01', 'invalid message length');
        return;
      }
      if (this.received.length < length + 1) return;
      const type = String.fromCharCode(this.received[0] ?? 0);
      const body = this.received.subarray(5, length + 1);
      this.received = this.received.subarray(length + 1);
      this.message(type, body);
      this.flush();
    }
  }

  private startup(): boolean {
    if (this.received.length < 8 || this.received.length < this.received.readUInt32BE(0)) return false;
    const size = this.received.readUInt32BE(0);
    if (this.received.readUInt32BE(4) === CANCEL_REQUEST) {
      this.end();
      return false;
    }
    const isEncryption = ENCRYPTION_REQUESTS.includes(this.received.readUInt32BE(4));
    this.received = this.received.subarray(size);
    if (isEncryption) {
      this.answer.push(Buffer.from('N'));
      this.flush();
      return this.startup();
    }
    this.isStarted = true;
    this.answer.push(
      backend.authentication(0),
      ...[
        'server_version=18.0',
        'client_encoding=UTF8',
        'standard_conforming_strings=on',
        'TimeZone=UTC',
      ].map((pair) => {
        const [name = '', value = ''] = pair.split('=');
        return backend.parameterStatus(name, value);
      }),
      backend.keyData(4711, Buffer.from([1, 2, 3, 4])),
      backend.ready(),
    );
    this.flush();
    return true;
  }

  private end(): void {
    this.isOver = true;
    this.socket?.end();
  }

  private fatal(sqlstate: string, message: string): void {
    this.answer.push(backend.error(sqlstate, message, 'FATAL'));
    this.flush();
    this.end();
  }

  /** Says what the last message brought, true or not. */
  private flush(): void {
    // Asked anew each time: whoever plays may change them.
    const { random, lieOneIn } = this.options;
    let bytes: Buffer = Buffer.concat(this.answer);
    this.answer = [];
    if (lieOneIn > 0 && random.oneIn(lieOneIn)) {
      this.hasLied = true;
      bytes = scrubbed(bytes);
      const kind = random.below(6);
      if (kind === 0) bytes = Buffer.concat([bytes, random.pick(BACKEND_MAKERS)(random)]);
      else if (kind === 1) bytes = Buffer.concat([random.pick(BACKEND_MAKERS)(random), bytes]);
      else if (kind === 2) this.socket?.end();
      else if (kind === 3) this.socket?.reset();
      else if (bytes.length > 0) bytes = mutate(random, bytes);
    }
    // Nobody can stop a server from telling one client what another asked: a liar forgets it.
    if (this.hasLied) bytes = scrubbed(bytes);
    if (bytes.length > 0) this.socket?.say(bytes);
  }

  private message(type: string, body: Buffer): void {
    if (this.copyIn !== 'no') {
      this.copyMessage(type, body);
      return;
    }
    if (type === 'X') this.end();
    if (this.isOver || (this.isSkipping && type !== 'S')) return;
    try {
      this.dispatch(type, body);
    } catch (error) {
      if (!(error instanceof SqlFailure)) throw error;
      this.fail(error, 'PBDEC'.includes(type));
      if (type === 'Q' || type === 'F') this.answer.push(backend.ready(this.status));
    }
  }

  private fail({ sqlstate, message }: SqlFailure, isExtended: boolean): void {
    this.answer.push(backend.error(sqlstate, message));
    if (this.status === 'T') this.status = 'E';
    if (isExtended) this.isSkipping = true;
  }

  private dispatch(type: string, body: Buffer): void {
    switch (type) {
      case 'Q':
        this.query(this.wholeText(body));
        if (this.copyIn === 'no') this.answer.push(backend.ready(this.status));
        return;
      case 'S':
        this.isSkipping = false;
        if (this.status === 'I') this.portals.clear();
        this.answer.push(backend.ready(this.status));
        return;
      case 'H':
        if (body.length > 0) throw new SqlFailure('08P01', 'invalid message format');
        return;
      case 'd':
      case 'c':
      case 'f':
        return;
      case 'F':
        throw new SqlFailure('42883', 'no such function');
      case 'P':
        this.parse(body);
        return;
      case 'B':
        this.bind(body);
        return;
      case 'D':
        this.describe(body);
        return;
      case 'E':
        this.execute(body);
        return;
      case 'C':
        this.named(body).delete(this.nameIn(body));
        this.answer.push(backend.closeComplete());
        return;
      default:
        this.fatal('08P01', `invalid frontend message type ${type.charCodeAt(0)}`);
    }
  }

  private wholeText(body: Buffer): string {
    if (body.indexOf(0) !== body.length - 1) throw new SqlFailure('08P01', 'invalid message format');
    return body.toString('latin1', 0, body.length - 1);
  }

  private query(sql: string): void {
    this.statements.delete('');
    const parts = sql
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    if (parts.length === 0) this.answer.push(backend.emptyQuery());
    for (const part of parts) {
      this.run(part, true);
      if (this.copyIn !== 'no') return;
    }
  }

  /** One statement. Only what is needed to move the states; the rest is a syntax error. */
  private run(sql: string, isSimple: boolean): void {
    const word = (sql.split(' ')[0] ?? '').toUpperCase();
    if (this.status === 'E' && !ENDS_BLOCK.includes(word))
      throw new SqlFailure('25P02', 'current transaction is aborted');
    if (word === 'BEGIN' && this.status === 'I') this.status = 'T';
    if (ENDS_BLOCK.includes(word)) this.status = 'I';
    if (sql.startsWith('COPY') && sql.endsWith('STDIN')) {
      this.copyIn = isSimple ? 'query' : 'execute';
      this.answer.push(frame('G', Buffer.from([0]), int16(0)));
    } else if (sql.startsWith('COPY')) {
      this.answer.push(
        frame('H', Buffer.from([0]), int16(0)),
        frame('d', Buffer.from('x')),
        frame('c'),
        backend.complete('COPY 1'),
      );
    } else if (word === 'SELECT') {
      if (isSimple) this.answer.push(backend.rowDescription(['value']));
      this.answer.push(backend.dataRow([Buffer.from(sql, 'latin1')]), backend.complete('SELECT 1'));
    } else if (COMMANDS.includes(word)) this.answer.push(backend.complete(word));
    else throw new SqlFailure('42601', 'syntax error');
  }

  private copyMessage(type: string, body: Buffer): void {
    if ('dHS'.includes(type)) return;
    const { copyIn } = this;
    this.copyIn = 'no';
    if (type !== 'c' && type !== 'f') {
      this.fatal('08P01', 'unexpected message during COPY from stdin');
      return;
    }
    if (type === 'c') this.answer.push(backend.complete('COPY 1'));
    else this.fail(new SqlFailure('57014', `COPY failed: ${body.length}`), copyIn === 'execute');
    if (copyIn === 'query') this.answer.push(backend.ready(this.status));
  }

  private parse(body: Buffer): void {
    const [name, sql, rest] = this.twoTexts(body);
    if (rest.length < 2 || rest.length !== 2 + 4 * rest.readUInt16BE(0))
      throw new SqlFailure('08P01', 'invalid message format');
    if (name !== '' && this.statements.has(name))
      throw new SqlFailure('42P05', `prepared statement "${name}" already exists`);
    const word = (sql.trim().split(' ')[0] ?? '').toUpperCase();
    if (![...COMMANDS, 'SELECT', 'COPY', ''].includes(word)) throw new SqlFailure('42601', 'syntax error');
    if (this.status === 'E' && !ENDS_BLOCK.includes(word))
      throw new SqlFailure('25P02', 'current transaction is aborted');
    this.statements.set(name, sql);
    this.answer.push(backend.parseComplete());
  }

  private twoTexts(body: Buffer): [string, string, Buffer] {
    const first = body.indexOf(0);
    const second = first < 0 ? -1 : body.indexOf(0, first + 1);
    if (second < 0) throw new SqlFailure('08P01', 'invalid string in message');
    return [
      body.toString('latin1', 0, first),
      body.toString('latin1', first + 1, second),
      body.subarray(second + 1),
    ];
  }

  private bind(body: Buffer): void {
    const [portal, statement, rest] = this.twoTexts(body);
    const sql = this.statements.get(statement);
    if (sql === undefined) throw new SqlFailure('26000', `prepared statement "${statement}" does not exist`);
    if (!isBindRest(rest)) throw new SqlFailure('08P01', 'invalid message format');
    if (this.status === 'E' && !ENDS_BLOCK.includes((sql.split(' ')[0] ?? '').toUpperCase()))
      throw new SqlFailure('25P02', 'aborted');
    if (portal !== '' && this.portals.has(portal)) throw new SqlFailure('42P03', 'cursor exists');
    this.portals.set(portal, sql);
    this.answer.push(backend.bindComplete());
  }

  private named(body: Buffer): Map<string, string> {
    const kind = String.fromCharCode(body[0] ?? 0);
    if (kind !== 'S' && kind !== 'P') throw new SqlFailure('08P01', 'invalid subtype');
    return kind === 'S' ? this.statements : this.portals;
  }

  private nameIn(body: Buffer): string {
    return this.wholeText(body.subarray(1));
  }

  private describe(body: Buffer): void {
    const sql = this.named(body).get(this.nameIn(body));
    const isStatement = body[0] === 0x53;
    if (sql === undefined) throw new SqlFailure(isStatement ? '26000' : '34000', 'does not exist');
    if (isStatement) this.answer.push(frame('t', int16(0)));
    this.answer.push(sql.startsWith('SELECT') ? backend.rowDescription(['value']) : backend.noData());
  }

  private execute(body: Buffer): void {
    const end = body.indexOf(0);
    if (end < 0 || body.length !== end + 5) throw new SqlFailure('08P01', 'invalid message format');
    const sql = this.portals.get(body.toString('latin1', 0, end));
    if (sql === undefined) throw new SqlFailure('34000', 'portal does not exist');
    if (sql.trim() === '') this.answer.push(backend.emptyQuery());
    else this.run(sql, false);
  }
}

function scrubbed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('tok', 'xxx'), 'latin1');
}

/** Format codes, values, result format codes, and nothing behind them. */
function isBindRest(rest: Buffer): boolean {
  let at = 0;
  const count = (): number => {
    if (at + 2 > rest.length) return -1;
    at += 2;
    return rest.readUInt16BE(at - 2);
  };
  const formats = count();
  if (formats < 0) return false;
  at += formats * 2;
  const values = count();
  if (values < 0 || formats > Math.max(1, values)) return false;
  for (let index = 0; index < values; index++) {
    if (at + 4 > rest.length) return false;
    const size = rest.readInt32BE(at);
    at += 4 + Math.max(0, size);
    if (size < -1 || at > rest.length) return false;
  }
  const results = count();
  return results >= 0 && at + results * 2 === rest.length;
}
