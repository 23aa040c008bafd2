import { formatListenAddress } from '@pgdog-cluster/core/config';
import { column, defineShow } from './show.js';

/** One listening socket, as the acceptor sees it. */
export interface ListeningSocket {
  kind: 'tcp' | 'unix';
  /** Numeric address; of a Unix socket its directory or abstract name. */
  host: string;
  port: number;
}

export const SHOW_ADDRESSES = defineShow<ListeningSocket>({
  name: 'addresses',
  privilege: 'admin',
  description: 'Where clients can connect: one row per listening socket.',
  columns: [
    column('kind', 'text', 'tcp, unix.', (row) => row.kind),
    column('address', 'text', 'Address and port, or path.', (row) => formatListenAddress(row)),
    column(
      'host',
      'text',
      "What a client's host has to be: address, directory, abstract name.",
      (row) => row.host,
    ),
    column('port', 'numeric', 'Port; of a Unix socket the number in its name.', (row) => row.port),
  ],
  rows: ({ listening }) => listening(),
});
