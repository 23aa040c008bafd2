import type { ListenerRow } from '../pubsub/hub.js';
import { column, defineShow } from './show.js';

export const SHOW_LISTENERS = defineShow<ListenerRow>({
  name: 'listeners',
  privilege: 'admin',
  description:
    'One row per channel and user that is listened to by a shared connection (pub_sub_channel_size).',
  columns: [
    column('database', 'text', 'Name clients ask for.', (row) => row.database),
    column('user', 'text', 'User of the clients.', (row) => row.user),
    column('shard', 'numeric', 'Number of the shard.', () => 0),
    column('channel', 'text', 'Channel.', (row) => row.channel),
    column('listeners', 'numeric', 'Clients that listen, over all workers.', (row) => row.listeners),
    column(
      'received',
      'numeric',
      'Notifications that came by the channel, for all users.',
      (row) => row.received,
    ),
    column(
      'dropped',
      'numeric',
      'Clients disconnected because too many notifications waited for them.',
      (row) => row.dropped,
    ),
  ],
  rows: ({ listeners }) => listeners(),
});
