/** What a session that LISTENs is told while its channels go back to its server connection, one interleaving at a time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Listener, ListenReturn } from '@pgdog-cluster/worker';

const FRAME = new Uint8Array([65, 0, 0, 0, 4]);

function listenerOf(channel: string): { listener: Listener; sent: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  const session = {
    context: { config: { general: { pubSubChannelSize: 10 } } },
    phase: 'ready',
    server: null,
    pins: 0,
    reported: new Map([['client_encoding', 'UTF8']]),
    connection: { queuedBytes: 0 },
    send: (frame: Uint8Array) => sent.push(frame),
  };
  const listener = new Listener(session as unknown as Listener['session']);
  listener.channels.add(channel);
  return { listener, sent };
}

describe('a return to the server connection', () => {
  for (const [title, listening, expected] of [
    ['UNLISTEN was answered: nothing comes behind it, whoever heard it', [], 0],
    ['still listened to: both are told', ['news'], 2],
    ['another channel is listened to now: nothing of the first', ['other'], 0],
  ] as const) {
    it(title, () => {
      const { listener, sent } = listenerOf('news');
      const returning = new ListenReturn('marker', 'here');
      listener.returning = returning;
      assert.equal(listener.passes({ channel: 'marker', payload: 'here' }, FRAME), false);
      // The shared connection is late: it says what lies before the marker when the server connection is past it.
      listener.notify({ channel: 'news', processId: 1, payload: 'before the marker' });
      assert.equal(listener.passes({ channel: 'news', payload: 'behind the marker' }, FRAME), false);
      returning.listening = new Set(listening);
      assert.equal(listener.tryEndReturn(), false);
      assert.deepEqual(sent, []);
      returning.isMarkedByHub = true;
      assert.equal(listener.tryEndReturn(), true);
      assert.equal(sent.length, expected);
    });
  }
});
