import type { TemplateRow } from '../tenants/tenant-service.js';
import { column, defineShow } from './show.js';

export const SHOW_TENANTS = defineShow<TemplateRow>({
  name: 'tenants',
  privilege: 'admin',
  description:
    'One row per pattern of [[databases]], and what became of the names that it was asked for. The databases themselves are in SHOW DATABASES, POOLS and so on.',
  columns: [
    column('pattern', 'text', 'Name of the entry, with stars.', (row) => row.pattern),
    column('hosts', 'text', 'Where it leads, as it is written.', (row) => row.hosts.join(', ')),
    column('database', 'text', 'Name on the server, as it is written.', (row) => row.serverDatabase),
    column('tenants', 'numeric', 'Databases that there are now.', (row) => row.tenants),
    column('made_count', 'numeric', 'Made at a login.', (row) => row.made),
    column('dropped_count', 'numeric', 'Forgotten: unused, or not to be had.', (row) => row.dropped),
    column('missing_count', 'numeric', 'Of those: its server had none of that name.', (row) => row.missing),
    column('refused_count', 'numeric', 'Refused by a limit or for the name.', (row) => row.refused),
  ],
  rows: ({ templates }) => templates(),
});
