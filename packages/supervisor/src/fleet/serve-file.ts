import { fileURLToPath } from 'node:url';

/** Module of the workers' threads. The bundle (scripts/bundle.mjs) has another in this file's place. */
export function serveFile(): string {
  return fileURLToPath(import.meta.resolve('@pgdog-cluster/worker/serve'));
}
