import {
  BACKEND,
  BIND_COMPLETE,
  buildResult,
  CLOSE_COMPLETE,
  decodeName,
  FRONTEND,
  FrameWriter,
  PARSE_COMPLETE,
  PgDogError,
  READY,
  type RouteExplain,
  readBind,
  readExecute,
  readLength,
  readParse,
  readRouteExplain,
  readTarget,
  reportLines,
  reportObject,
  TARGET,
  TYPE_OID,
  toPgDogError,
  writeCommandComplete,
  writeDataRow,
  writeRowDescription,
} from '@pgdog-cluster/core';
import { explainRoute } from '../route/explain-route.js';
import { BLOCKED } from '../wire/frame-stream.js';
import type { RequestSink } from './requests.js';
import { refuseQuery } from './simple-query.js';

const HEADER_BYTES = 5;
const COLUMNS = [{ name: 'QUERY PLAN' }];
const TAG = 'EXPLAIN';
/** The frame goes on as ever. */
export const NOT_EXPLAINED = -1;
/** A client may prepare so many of them. */
const NAMES_MAX = 100;

interface Prepared {
  readonly explain: RouteExplain;
  /** ParameterDescription: what the client said, text for the rest. */
  readonly types: readonly number[];
}

/**
 * EXPLAIN (PGDOG) of one client: prepared, bound and executed here, and never sent anywhere. Made at the first of them.
 * Answers are in order because it waits until everything before it has been answered; in one batch behind statements of
 * a server that cannot be waited for, and is refused.
 */
export class ExplainFrames {
  private readonly requests: RequestSink;
  private readonly statements = new Map<string, Prepared>();
  private readonly portals = new Map<string, Prepared>();

  constructor(requests: RequestSink) {
    this.requests = requests;
  }

  /** `isAsked`: the text of this Query or Parse may be one (asksRoute). Outcome of the frame, or NOT_EXPLAINED. */
  frame(type: number, bytes: Uint8Array, start: number, end: number, isAsked: boolean): number {
    const body = start + HEADER_BYTES;
    switch (type) {
      case FRONTEND.Query:
        return this.query(bytes, body, end - 1, isAsked);
      case FRONTEND.Parse:
        return this.parse(bytes, body, end, isAsked);
      case FRONTEND.Bind:
        return this.bind(bytes, body, end);
      case FRONTEND.Describe:
      case FRONTEND.Close:
        return this.target(type, bytes, body, end);
      case FRONTEND.Execute:
        return this.execute(bytes, body, end);
      case FRONTEND.Sync:
        if (!this.isInTransaction) this.portals.clear();
        return NOT_EXPLAINED;
      default:
        return NOT_EXPLAINED;
    }
  }

  private get isInTransaction(): boolean {
    const { server, router } = this.requests.session;
    return server !== null || router?.held != null;
  }

  private query(bytes: Uint8Array, start: number, end: number, isAsked: boolean): number {
    this.statements.delete('');
    this.portals.clear();
    if (!isAsked) return NOT_EXPLAINED;
    const { session } = this.requests;
    return this.answer(false, () => {
      const { parser } = session.context;
      const scope = session.router?.scope;
      const explain = readRouteExplain(bytes, start, end, parser, tenantColumnOf(session), scope);
      if (explain === null) return false;
      this.requests.extended.unnamed.id = 0;
      session.send(buildResult(COLUMNS, rowsOf(this.requests, explain), TAG));
      session.queries++;
      session.sendReady();
      return true;
    });
  }

  private parse(bytes: Uint8Array, start: number, end: number, isAsked: boolean): number {
    const fields = readParse(bytes, start, end);
    if (fields === null) return NOT_EXPLAINED;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    if (name === '') this.statements.delete('');
    const isTaken = this.statements.has(name);
    if (!isAsked && !isTaken) return NOT_EXPLAINED;
    const { textStart, textEnd, typesStart, typeCount } = fields;
    const types = Array.from({ length: typeCount }, (_, i) => readLength(bytes, typesStart + 4 * i));
    const { session, extended } = this.requests;
    return this.answer(true, () => {
      if (isTaken || session.statements.get(name) !== undefined) throw duplicate(name);
      const explain = readRouteExplain(
        bytes,
        textStart,
        textEnd,
        session.context.parser,
        tenantColumnOf(session),
        session.router?.scope,
      );
      if (explain === null) return false;
      if (this.statements.size >= NAMES_MAX) throw new PgDogError('prepared_statements_limit');
      while (types.length < explain.parameterCount) types.push(TYPE_OID.text);
      this.statements.set(name, { explain, types: types.map((type) => type || TYPE_OID.text) });
      if (name === '') extended.unnamed.id = 0;
      session.send(PARSE_COMPLETE);
      return true;
    });
  }

  private bind(bytes: Uint8Array, start: number, end: number): number {
    const fields = readBind(bytes, start, end);
    if (fields === null) return NOT_EXPLAINED;
    const portal = decodeName(bytes, fields.portalStart, fields.portalEnd);
    const statement = this.statements.get(decodeName(bytes, fields.statementStart, fields.statementEnd));
    this.portals.delete(portal);
    if (statement === undefined) return NOT_EXPLAINED;
    return this.answer(true, () => {
      this.portals.set(portal, statement);
      this.requests.session.send(BIND_COMPLETE);
      return true;
    });
  }

  /** Describe or Close. */
  private target(type: number, bytes: Uint8Array, start: number, end: number): number {
    const fields = readTarget(bytes, start, end);
    if (fields === null) return NOT_EXPLAINED;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const isStatement = fields.target === TARGET.Statement;
    const names = isStatement ? this.statements : this.portals;
    const found = names.get(name);
    if (found === undefined) return NOT_EXPLAINED;
    return this.answer(true, () => {
      if (type === FRONTEND.Close) {
        names.delete(name);
        this.requests.session.send(CLOSE_COMPLETE);
      } else this.requests.session.send(description(isStatement ? found.types : null));
      return true;
    });
  }

  private execute(bytes: Uint8Array, start: number, end: number): number {
    const fields = readExecute(bytes, start, end);
    if (fields === null) return NOT_EXPLAINED;
    const portal = this.portals.get(decodeName(bytes, fields.portalStart, fields.portalEnd));
    if (portal === undefined) return NOT_EXPLAINED;
    const { session } = this.requests;
    return this.answer(true, () => {
      const writer = new FrameWriter();
      for (const row of rowsOf(this.requests, portal.explain)) writeDataRow(writer, row);
      writeCommandComplete(writer, TAG);
      session.send(writer.take());
      session.queries++;
      return true;
    });
  }

  /**
   * Lets `make` answer when its turn has come. What it throws the client is told, with the effect that an error has: an
   * open transaction has failed, the rest of the batch is skipped.
   */
  private answer(isExtended: boolean, make: () => boolean): number {
    const { requests } = this;
    const { server, router } = requests.session;
    if (server !== null && !server.isBatchOpen && server.pending.length > 0) {
      requests.isAwaitingQuiet = true;
      return BLOCKED;
    }
    // What the server has answered before and is still being gathered goes first.
    server?.relay.flushRun();
    try {
      if (router?.held?.hasFailed === true || server?.readyStatus === READY.Failed)
        throw new PgDogError('transaction_failed');
      if (server?.isBatchOpen === true) throw mixed();
      return make() ? requests.drop() : NOT_EXPLAINED;
    } catch (error) {
      return this.refuse(toPgDogError(error), isExtended);
    }
  }

  private refuse(error: PgDogError, isExtended: boolean): number {
    const { requests } = this;
    if (requests.session.server === null) {
      requests.refuse(error, isExtended);
      return requests.drop();
    }
    const server = requests.serverForRequest();
    if (server === null) return BLOCKED;
    return isExtended ? requests.extended.refuse(server, error) : refuseQuery(requests, server, error);
  }
}

function tenantColumnOf({ pool }: RequestSink['session']): string | null {
  return pool?.code.tenantColumn ?? null;
}

function mixed(): PgDogError {
  const text = 'EXPLAIN (PGDOG) cannot stand behind other statements in one batch';
  return new PgDogError('unsupported_feature', text, { hint: 'Send a Sync before it.' });
}

function duplicate(name: string): PgDogError {
  return new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
}

function rowsOf({ session }: RequestSink, explain: RouteExplain): string[][] {
  const report = explainRoute(session, explain);
  if (explain.isJson) return [[JSON.stringify([reportObject(report)], null, 2)]];
  return reportLines(report).map((line) => [line]);
}

/** Of a statement with its parameters; of a portal without. */
function description(types: readonly number[] | null): Uint8Array {
  const writer = new FrameWriter();
  if (types !== null) {
    writer.begin(BACKEND.ParameterDescription).int16(types.length);
    for (const type of types) writer.int32(type);
    writer.end();
  }
  writeRowDescription(writer, COLUMNS);
  return writer.take();
}
