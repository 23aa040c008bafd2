import { column, defineShow } from './show.js';

export const SHOW_VERSION = defineShow<string>({
  name: 'version',
  privilege: 'admin',
  description: 'Version of this program.',
  columns: [column('version', 'text', 'Name and version.', (version) => `pgdog-cluster ${version}`)],
  rows: ({ version }) => [version],
});
