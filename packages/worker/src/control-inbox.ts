import type {
  AdminReplyMessage,
  AdoptMessage,
  AdoptPlaceMessage,
  AuthReplyMessage,
  CancelDoneMessage,
  CancelForMessage,
  CancelMessage,
  CutMessage,
  DrainMessage,
  EvictMessage,
  KillClientMessage,
  LendRequestMessage,
  ListenSocket,
  ReportRequestMessage,
  ReportRows,
  ResetQueryCacheMessage,
  TerminateMessage,
  VacateMessage,
  WorkerMessage,
} from '@pgdog-cluster/core';
import { deliverCancel } from './backend/cancel.js';
import { unpackServer } from './backend/parcel.js';
import { ServerConnection } from './backend/server-connection.js';
import { drain, terminate } from './drain.js';
import { lendTo } from './pool/lend.js';
import { evictFor } from './pool/make-room.js';
import { doomIfOld, killed } from './pool/obey-orders.js';
import { vacate } from './pool/vacate.js';
import { reportClients, reportServers } from './report.js';
import { reportClientMemory, reportPrepared, reportServerMemory } from './report-memory.js';
import { reportQueries } from './report-queries.js';
import { supervisorAnswered } from './session/admin-session.js';
import { supervisorRepliedAboutUser } from './session/auth/ask-supervisor.js';
import { sessionGone } from './session/close.js';
import { takeUpEpoch } from './take-up.js';
import type { WorkerContext } from './worker-context.js';

/** What the mailbox may ask of the loop itself. */
export interface LoopOrders {
  /** Accepts clients on these sockets and no others. */
  listen(sockets: readonly ListenSocket[]): void;
  cut(): void;
}

/** Obeys one message of the mailbox. Throws only where a test asks for a crash. */
export function handleWorkerMessage(
  context: WorkerContext,
  orders: LoopOrders,
  hasTestHooks: boolean,
  message: WorkerMessage,
): void {
  switch (message.type) {
    case 'newClient':
      context.arrivals.add(message.fd, message.addr, message.port);
      return;
    case 'movedClient':
      context.arrivals.add(message.fd, message.addr, message.port, message.sinceMs, message);
      return;
    case 'cancel':
    case 'cancelFor':
    case 'cancelDone':
      handleCancel(context, message);
      return;
    case 'lendRequest':
    case 'adopt':
    case 'adoptPlace':
    case 'evict':
    case 'vacate':
      handleLending(context, message);
      return;
    case 'heldWaits':
      context.sharded.heldWaits.told();
      return;
    case 'epoch':
      takeUpEpoch(context, message);
      return;
    case 'catalogRead':
    case 'keysFound':
    case 'keysForgotten':
    case 'nodeClaimed':
      context.sharded.receive(message);
      return;
    case 'listen':
      if (context.drainMode === null) orders.listen(message.sockets);
      return;
    case 'peerName':
      context.peerNames.answered(message.uid, message.name, context.nowMs);
      return;
    case 'drain':
    case 'terminate':
    case 'cut':
      endService(context, orders, message);
      return;
    case 'killClient':
    case 'reportRequest':
    case 'resetQueryCache':
      obeyOperator(context, message);
      return;
    case 'adminReply':
    case 'authReply':
      reply(context, message);
      return;
    case 'listenReady':
    case 'notification':
    case 'listenMarker':
    case 'listenLost':
      context.pubSub.receive(message);
      return;
    case 'crash':
      if (hasTestHooks) throw new Error('crash ordered by a test');
      return;
    default:
      context.log('error', 'unknown_message', 'unknown message in the mailbox', {});
  }
}

function endService(
  context: WorkerContext,
  orders: LoopOrders,
  message: DrainMessage | TerminateMessage | CutMessage,
): void {
  if (message.type === 'cut') orders.cut();
  else if (message.type === 'terminate') terminate(context);
  else {
    orders.listen([]);
    drain(context, message.mode);
  }
}

/** What somebody has asked for on the admin database. */
function obeyOperator(
  context: WorkerContext,
  message: KillClientMessage | ReportRequestMessage | ResetQueryCacheMessage,
): void {
  if (message.type === 'killClient') killClient(context, message);
  else if (message.type === 'reportRequest') report(context, message);
  else resetQueryCache(context);
}

function killClient(context: WorkerContext, { slot, session: id }: KillClientMessage): void {
  const session = context.sessions.at(slot);
  if (session?.id === id) session.fail(killed());
}

function resetQueryCache({ plans, queries }: WorkerContext): void {
  plans.clear();
  queries.clear();
}

/** What workers of one pool ask of each other. */
function handleLending(
  context: WorkerContext,
  message: LendRequestMessage | AdoptMessage | AdoptPlaceMessage | EvictMessage | VacateMessage,
): void {
  if (message.type === 'lendRequest') lend(context, message);
  else if (message.type === 'adopt') adopt(context, message.pool, message.fd, message.state);
  else if (message.type === 'adoptPlace') adoptPlace(context, message.pool);
  else if (message.type === 'vacate') vacate(context, message);
  else evictFor(context, message);
}

function lend(context: WorkerContext, { pool: index, fromWorker }: LendRequestMessage): void {
  const pool = context.pools.get(index);
  if (pool !== undefined) lendTo(pool, fromWorker);
}

const REPORTS: {
  [Kind in keyof ReportRows]: (context: WorkerContext, filter: string) => ReportRows[Kind][];
} = {
  clients: reportClients,
  servers: reportServers,
  queries: reportQueries,
  mirrors: ({ mirrors }) => mirrors.report(),
  prepared: reportPrepared,
  clientMemory: reportClientMemory,
  serverMemory: reportServerMemory,
};

function report(context: WorkerContext, { requestId, kind, filter }: ReportRequestMessage): void {
  const rows = REPORTS[kind](context, filter);
  context.tell({ type: 'report', worker: context.worker, requestId, rows });
}

/** For a session that may have gone meanwhile. */
function reply(context: WorkerContext, message: AdminReplyMessage | AuthReplyMessage): void {
  const session = context.sessions.at(message.slot);
  if (session === null || session.id !== message.generation) return;
  if (message.type === 'authReply') supervisorRepliedAboutUser(session, message);
  else supervisorAnswered(session, message);
}

/** By way of a descriptor that came along, of a connection that stayed where it is, or the answer to the latter. */
function handleCancel(
  context: WorkerContext,
  message: CancelMessage | CancelForMessage | CancelDoneMessage,
): void {
  const { slot } = message;
  if (message.type === 'cancelDone') {
    const session = context.sessions.at(slot);
    if (session?.id === message.session) sessionGone(session, 'cancel request', true);
    return;
  }
  deliverCancel(context, slot, message.secret, () => {
    if (message.type === 'cancel') context.closeFd(message.fd);
    else {
      const { replyWorker, replySlot, replySession } = message;
      context.post(replyWorker, { type: 'cancelDone', slot: replySlot, session: replySession });
    }
  });
}

function adopt(context: WorkerContext, poolIndex: number, fd: number, state: Uint8Array): void {
  const snapshot = context.directory.poolAt(poolIndex);
  if (snapshot === null) {
    context.closeFd(fd);
    context.memory.capacity.giveBack(context.worker, poolIndex);
    return;
  }
  const pool = context.poolFor(snapshot);
  const server = new ServerConnection(context, pool, fd);
  pool.all.add(server);
  unpackServer(server, state);
  doomIfOld(server);
  // Lent by a worker that had not taken up yet what this one has, or the other way round.
  if (server.version !== pool.version) server.isDoomed = true;
  pool.row.adopted();
  pool.serverReady(server);
}

function adoptPlace(context: WorkerContext, poolIndex: number): void {
  const snapshot = context.directory.poolAt(poolIndex);
  if (snapshot === null) context.memory.capacity.giveBack(context.worker, poolIndex);
  else context.poolFor(snapshot).opening.takePlace();
}
