import type { ConfigSnapshot } from '@pgdog-cluster/core';

/** Beside the operator himself, who has a password in [admin]. */
export function mayEnterAdmin(config: ConfigSnapshot, user: string): boolean {
  const { adminUsers = [], statsUsers = [] } = config.admin;
  return adminUsers.includes(user) || statsUsers.includes(user);
}

/** In the admin database: may only look. Asked for each command, so that RELOAD takes rights away at once. */
export function mayOnlyShow(config: ConfigSnapshot, name: string): boolean {
  const { user, adminUsers = [] } = config.admin;
  return name !== user && !adminUsers.includes(name);
}
