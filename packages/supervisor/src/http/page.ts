import type { ServerResponse } from 'node:http';

export const PLAIN_TEXT = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json; charset=utf-8';

/** One answer, whole. */
export interface Page {
  status: number;
  contentType: string;
  body: string | Buffer;
  headers?: Record<string, string>;
}

export function plain(status: number, text: string, headers: Record<string, string> = {}): Page {
  return { status, contentType: PLAIN_TEXT, body: `${text}\n`, headers };
}

/** Nothing of ours belongs into somebody else's page, frame or cache, or is another type than it says. */
export const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

export function send(response: ServerResponse, isHead: boolean, page: Page): void {
  const bytes = typeof page.body === 'string' ? Buffer.from(page.body) : page.body;
  response.writeHead(page.status, {
    ...COMMON_HEADERS,
    'content-type': page.contentType,
    'content-length': bytes.length,
    ...page.headers,
  });
  response.end(isHead ? undefined : bytes);
}

/**
 * Calls `done` once: when the answer is out, or its connection gone. One that was asked for ahead of its turn (pipelining) waits
 * without a socket, and Node tells it nothing of the end.
 */
export function onceClosed(response: ServerResponse, done: () => void): void {
  const { socket } = response.req;
  if (socket.closed) {
    done();
    return;
  }
  const release = () => {
    response.off('close', release);
    socket.off('close', release);
    done();
  };
  response.once('close', release);
  socket.once('close', release);
}
