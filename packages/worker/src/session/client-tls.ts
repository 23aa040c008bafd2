import { LogAllowance } from '../log-allowance.js';
import type { TlsContext } from '../tls/tls-context.js';
import { TlsFilter, type TlsListener } from '../tls/tls-filter.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { WorkerContext } from '../worker-context.js';
import { sessionGone } from './close.js';
import type { Session } from './session.js';

/** Failed handshakes are what port scanners leave behind: some lines tell it all. */
const failureLines = new LogAllowance(10);

/** Whether clients without TLS are refused. */
export function isTlsRequired(context: TlsContext | null): boolean {
  return context !== null && context.mode !== 'allow' && context.mode !== 'prefer';
}

/** From here on the client's connection speaks TLS; what was sent before leaves in the clear. */
export function startClientTls(session: Session, context: TlsContext, isDirect: boolean): TlsFilter {
  const peer = { context, isDirect, host: '', port: 0 };
  const filter = new TlsFilter(session.context.tls, session.connection, peer, new ClientTls(session));
  session.connection.startFilter(filter);
  return filter;
}

class ClientTls implements TlsListener {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  handleTlsReady(info: TlsInfo): void {
    this.session.tls = info;
  }

  handleTlsFailed(reason: string): void {
    const { session } = this;
    const { context, addr, port } = session;
    logTlsFailure(context, session.tls === null ? 'TLS handshake failed' : 'TLS stream is broken', reason, {
      addr,
      port,
    });
    // The alert, which says what can be said, is queued.
    sessionGone(session, `TLS: ${reason}`, true);
  }
}

function logTlsFailure(
  context: WorkerContext,
  what: string,
  reason: string,
  fields: { addr: string; port: number },
): void {
  const suppressed = failureLines.take(context.nowMs);
  if (suppressed < 0) return;
  const more = suppressed === 0 ? '' : ` (${suppressed} more not logged)`;
  context.log('warn', 'tls_client_failed', `${what}: ${reason}${more}`, fields);
}
