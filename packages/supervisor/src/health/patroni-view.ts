/** What Patroni's REST API says of its cluster: GET /cluster. */

export interface PatroniMember {
  host: string;
  port: number;
}

export interface PatroniView {
  /** Null: it has none at the moment. */
  leader: PatroniMember | null;
  members: PatroniMember[];
}

/** `master` was its name before version 3; the leader of a standby cluster writes nothing. */
const LEADER_ROLES = new Set(['leader', 'master', 'primary']);

/** Null when it is no such answer: then it says nothing, rather than that there is no leader. */
export function readPatroni(body: unknown): PatroniView | null {
  const members = (body as { members?: unknown } | null)?.members;
  if (!Array.isArray(members)) return null;
  const view: PatroniView = { leader: null, members: [] };
  for (const entry of members as unknown[]) {
    const member = readMember(entry);
    // One that is just joining has no address yet.
    if (member === null) continue;
    view.members.push({ host: member.host, port: member.port });
    if (!LEADER_ROLES.has(member.role)) continue;
    if (view.leader !== null) return null;
    view.leader = { host: member.host, port: member.port };
  }
  return view;
}

function readMember(entry: unknown): (PatroniMember & { role: string }) | null {
  if (typeof entry !== 'object' || entry === null) return null;
  const { host, port, role } = entry as Record<string, unknown>;
  const number = Number(port);
  if (typeof host !== 'string' || typeof role !== 'string' || !Number.isInteger(number)) return null;
  return { host, port: number, role };
}
