// Descriptors between processes, and messages that no process of ours would send.
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import koffi from 'koffi';
import { DESCRIPTORS_MAX, DescriptorChannel, parseTakeOver, TakeOver, TakeOverOffer } from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { eventually } from '../support/wire.js';

const socketpair = koffi.load(null).func('socketpair', 'int', ['int', 'int', 'int', 'void *']);
const SEQPACKET_NONBLOCK = 5 | 0o4000;

function channels(): [DescriptorChannel, DescriptorChannel] {
  const fds = new Int32Array(2);
  assert.equal(socketpair(1, SEQPACKET_NONBLOCK, 0, fds), 0);
  return [new DescriptorChannel(fds[0]), new DescriptorChannel(fds[1])];
}

describe('a channel', () => {
  it('keeps messages apart and carries descriptors, one or as many as fit', () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-channel-'));
    const [one, other] = channels();
    const fd = openSync(join(directory, 'file'), 'w');
    try {
      for (const count of [0, 1, 2, 3, DESCRIPTORS_MAX]) {
        assert.ok(
          one.send(
            `${count} ünd`,
            Array.from({ length: count }, () => fd),
          ),
        );
        assert.ok(one.send('next'));
        const message = other.receive();
        assert.ok(typeof message === 'object');
        assert.equal(message.text, `${count} ünd`);
        assert.equal(message.descriptors.length, count);
        for (const received of message.descriptors) {
          assert.notEqual(received, fd);
          assert.equal(fstatSync(received).ino, fstatSync(fd).ino);
          closeSync(received);
        }
        assert.deepEqual(other.receive(), { text: 'next', descriptors: [] });
        assert.equal(other.receive(), 'wait');
      }
      assert.throws(() => one.send('x', new Array(DESCRIPTORS_MAX + 1).fill(fd)), RangeError);
      one.close();
      one.close();
      assert.equal(other.receive(), 'gone');
      assert.equal(other.send('x'), false);
    } finally {
      other.close();
      closeSync(fd);
      rmSync(directory, { recursive: true });
    }
  });
});

describe('messages', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"type":"wanted"}',
    '{"type":"wanted","version":1,"pid":"x"}',
    '{"type":"sockets","pid":1,"sockets":[{}]}',
    '{"type":"sockets","pid":1,"sockets":null}',
    '{"type":"serving","taken":[1.5]}',
    '{"type":"refused"}',
    '{"type":"other"}',
  ]) {
    it(`refused: ${text}`, () => assert.equal(parseTakeOver(text), null));
  }
});

describe('an offer', () => {
  const port = 60_000 + (process.pid % 5_000);
  const userId = process.geteuid?.() ?? 0;
  const offerWith = (canBeTaken: boolean) => {
    const logger = new FakeLogger();
    const options = { port, userId, logger, listeners: () => [], canBeTaken: () => canBeTaken };
    return { logger, offer: new TakeOverOffer({ ...options, onTaken: () => {} }) };
  };

  it('without one there is nobody', async () => {
    assert.equal(await TakeOver.begin(port, userId), null);
  });

  it('on its way out it refuses, with the reason on both sides', async () => {
    const { logger, offer } = offerWith(false);
    try {
      await assert.rejects(
        TakeOver.begin(port, userId),
        /cannot take over: the running process is on its way/,
      );
      assert.equal(logger.of('take_over_refused').length, 1);
    } finally {
      offer.close();
    }
  });

  it('a second offer of the same port waits until the first is gone', async () => {
    const first = offerWith(true);
    const second = offerWith(true);
    first.offer.close();
    await eventually('the second has the name', async () => {
      const takeOver = await TakeOver.begin(port, userId);
      takeOver?.abandon();
      return takeOver !== null;
    });
    second.offer.close();
    assert.equal(await TakeOver.begin(port, userId), null);
  });

  it('given up by the old process while it lives: the new one does not serve', async () => {
    const { offer } = offerWith(true);
    const takeOver = await TakeOver.begin(port, userId);
    assert.ok(takeOver !== null);
    // Closes the connection; another offer, as of the same process, is there all the same.
    offer.close();
    const again = offerWith(true);
    try {
      await assert.rejects(takeOver.serving(), /has given it up/);
    } finally {
      again.offer.close();
    }
  });
});
