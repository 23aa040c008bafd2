import {
  type AdminQueryMessage,
  BACKEND,
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  decodeName,
  decodeText,
  FRONTEND,
  FrameWriter,
  framesOf,
  PARSE_COMPLETE,
  PgDogError,
  PORTAL_SUSPENDED,
  readBind,
  readExecute,
  readParse,
  readTarget,
  TARGET,
} from '@pgdog-cluster/core';
import type { Session } from './session.js';

const HEADER_BYTES = 5;
/** Of one client, and portals before a Sync: drivers keep a handful of each. A text has at most 64 KB. */
const NAMES_MAX = 200;
/** Portals with rows left that outlive a Sync: a driver reads one or two at a time. The oldest go first. */
const SUSPENDED_MAX = 8;
const INVALID = 'invalid message format';

interface Portal {
  text: string;
  /** Result format codes. */
  formats: number[];
  /** What an Execute with a limit has left of the answer; null: it has not run. */
  rest: Uint8Array[] | null;
}

/** The step of an Execute or Describe that the supervisor is asked for. */
export type AdminStep = Pick<AdminQueryMessage, 'text' | 'step' | 'formats'>;

function noParameters(): PgDogError {
  return new PgDogError('unsupported_feature', 'admin commands take no parameters', {
    hint: 'Write the value into the text of the command.',
  });
}

/** A statement of the admin database has no parameters. */
const NO_PARAMETERS = new FrameWriter().begin(BACKEND.ParameterDescription).int16(0).end().take();

/**
 * Parse, Bind, Describe, Execute, Close of a client of the admin database. Texts are kept as they are; what they mean
 * the supervisor says when they are described or executed. Portals end with Sync, except those that have rows left: what
 * drivers take for a transaction is none here, and within one they go on reading.
 */
export class AdminExtended {
  private readonly session: Session;
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, Portal>();
  private executed: { portal: Portal; rowsMax: number; pieces: Uint8Array[] } | null = null;

  constructor(session: Session) {
    this.session = session;
  }

  /** Null: it has been answered. @throws PgDogError for what is refused: the rest up to Sync is skipped then. */
  handle(type: number, bytes: Uint8Array, frameStart: number, end: number): AdminStep | null {
    const start = frameStart + HEADER_BYTES;
    switch (type) {
      case FRONTEND.Parse:
        return this.parse(bytes, start, end);
      case FRONTEND.Bind:
        return this.bind(bytes, start, end);
      case FRONTEND.Describe:
        return this.describe(bytes, start, end);
      case FRONTEND.Execute:
        return this.execute(bytes, start, end);
      case FRONTEND.Close:
        return this.close(bytes, start, end);
      default:
        throw new PgDogError('unsupported_feature', 'the admin database takes queries only');
    }
  }

  sync(): void {
    for (const [name, { rest }] of this.portals) {
      if (name === '' || rest === null || rest.length === 0) this.portals.delete(name);
    }
    for (const name of this.portals.keys()) {
      if (this.portals.size <= SUSPENDED_MAX) return;
      this.portals.delete(name);
    }
  }

  /** A piece of the answer to a step: what of it is for the client now. */
  answered(bytes: Uint8Array, isLast: boolean): Uint8Array[] {
    const { executed } = this;
    if (executed === null) return [bytes];
    executed.pieces.push(bytes);
    if (!isLast) return [];
    this.executed = null;
    executed.portal.rest = [...framesOf(Buffer.concat(executed.pieces))];
    return takeRows(executed.portal, executed.rowsMax);
  }

  private parse(bytes: Uint8Array, start: number, end: number): null {
    const fields = readParse(bytes, start, end);
    if (fields === null) throw new PgDogError('protocol_violation', INVALID);
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    if (fields.typeCount > 0) throw noParameters();
    if (name !== '' && this.statements.has(name)) {
      throw new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
    }
    if (this.statements.size >= NAMES_MAX) {
      throw new PgDogError('prepared_statements_limit', `at most ${NAMES_MAX} in the admin database`);
    }
    this.statements.set(name, decodeText(bytes, fields.textStart, fields.textEnd));
    this.session.send(PARSE_COMPLETE);
    return null;
  }

  private bind(bytes: Uint8Array, start: number, end: number): null {
    const fields = readBind(bytes, start, end);
    if (fields === null) throw new PgDogError('protocol_violation', INVALID);
    const name = decodeName(bytes, fields.portalStart, fields.portalEnd);
    const text = this.textOf(decodeName(bytes, fields.statementStart, fields.statementEnd));
    const formats = resultFormats(bytes, fields.statementEnd + 1, end);
    if (name !== '' && this.portals.has(name)) {
      throw new PgDogError('duplicate_cursor', `cursor "${name}" already exists`);
    }
    if (this.portals.size >= NAMES_MAX) {
      throw new PgDogError('prepared_statements_limit', `at most ${NAMES_MAX} portals in the admin database`);
    }
    this.portals.set(name, { text, formats, rest: null });
    this.session.send(BIND_COMPLETE);
    return null;
  }

  private describe(bytes: Uint8Array, start: number, end: number): AdminStep {
    const fields = readTarget(bytes, start, end);
    if (fields === null) throw new PgDogError('protocol_violation', INVALID);
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    if (fields.target === TARGET.Portal) {
      const { text, formats } = this.portalOf(name);
      return { step: 'describe', text, formats };
    }
    const text = this.textOf(name);
    this.session.send(NO_PARAMETERS);
    return { step: 'describe', text };
  }

  private execute(bytes: Uint8Array, start: number, end: number): AdminStep | null {
    const fields = readExecute(bytes, start, end);
    if (fields === null) throw new PgDogError('protocol_violation', INVALID);
    const { rowsMax, portalStart, portalEnd } = fields;
    const portal = this.portalOf(decodeName(bytes, portalStart, portalEnd));
    if (portal.rest !== null) {
      for (const frame of takeRows(portal, rowsMax)) this.session.send(frame);
      return null;
    }
    if (rowsMax > 0) this.executed = { portal, rowsMax, pieces: [] };
    else portal.rest = [];
    return { step: 'execute', text: portal.text, formats: portal.formats };
  }

  private close(bytes: Uint8Array, start: number, end: number): null {
    const fields = readTarget(bytes, start, end);
    if (fields === null) throw new PgDogError('protocol_violation', INVALID);
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    if (fields.target === TARGET.Portal) this.portals.delete(name);
    else this.statements.delete(name);
    this.session.send(CLOSE_COMPLETE);
    return null;
  }

  private textOf(name: string): string {
    const text = this.statements.get(name);
    if (text !== undefined) return text;
    throw new PgDogError('unknown_prepared_statement', `prepared statement "${name}" does not exist`);
  }

  private portalOf(name: string): Portal {
    const portal = this.portals.get(name);
    if (portal !== undefined) return portal;
    throw new PgDogError('unknown_portal', `portal "${name}" does not exist`);
  }
}

/** The next rows of a portal that has run: to its end, or suspended before. */
function takeRows(portal: Portal, rowsMax: number): Uint8Array[] {
  const rest = portal.rest ?? [];
  const rows = rest.filter((frame) => frame[0] === BACKEND.DataRow).length;
  if (rowsMax <= 0 || rows <= rowsMax) {
    portal.rest = [];
    return rest;
  }
  portal.rest = rest.slice(rowsMax);
  return [...rest.slice(0, rowsMax), PORTAL_SUSPENDED];
}

/** Behind the names of a Bind. @throws PgDogError when there are parameters. */
function resultFormats(bytes: Uint8Array, start: number, end: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  const read = (at: number): number => {
    if (at + 2 > view.byteLength) throw new PgDogError('protocol_violation', INVALID);
    return view.getInt16(at);
  };
  const parameterFormats = read(0);
  const counted = 2 + 2 * Math.max(0, parameterFormats);
  if (read(counted) !== 0) throw noParameters();
  const count = read(counted + 2);
  const formats = Array.from({ length: Math.max(0, count) }, (_, index) => read(counted + 4 + 2 * index));
  if (
    formats.some((format) => format !== 0 && format !== 1) ||
    counted + 4 + 2 * formats.length !== view.byteLength
  ) {
    throw new PgDogError('protocol_violation', INVALID);
  }
  return formats;
}
