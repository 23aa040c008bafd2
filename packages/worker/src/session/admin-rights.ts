import type { ConfigSnapshot } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';

/** Beside the operator himself, who has a password in [admin]. */
export function mayEnterAdmin(config: ConfigSnapshot, user: string): boolean {
  const { adminUsers = [], statsUsers = [] } = config.admin;
  return adminUsers.includes(user) || statsUsers.includes(user);
}

/** Has entered and could not do so any more, as RELOAD has taken the right or the user away. Asked for each command. */
export function isShutOut(
  { config, directory }: Pick<WorkerContext, 'config' | 'directory'>,
  name: string,
): boolean {
  if (name === config.admin.user) return false;
  return !mayEnterAdmin(config, name) || directory.anyUser(name) === null;
}

/** In the admin database: may only look. Asked for each command, so that RELOAD takes rights away at once. */
export function mayOnlyShow(config: ConfigSnapshot, name: string): boolean {
  const { user, adminUsers = [] } = config.admin;
  return name !== user && !adminUsers.includes(name);
}
