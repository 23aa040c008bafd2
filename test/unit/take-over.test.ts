// Descriptors between processes, and messages that no process of ours would send.
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import koffi from 'koffi';
import {
  buildUnixSockaddr,
  DESCRIPTORS_MAX,
  DescriptorChannel,
  openListeners,
  parseTakeOver,
  TakeOver,
  TakeOverOffer,
  takeOverAddress,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { SYSTEM_TCP } from '../support/system-tcp.js';
import { eventually } from '../support/wire.js';

const libc = koffi.load(null);
const socketpair = libc.func('socketpair', 'int', ['int', 'int', 'int', 'void *']);
const socket = libc.func('socket', 'int', ['int', 'int', 'int']);
const connect = libc.func('connect', 'int', ['int', 'void *', 'uint']);
const SEQPACKET_NONBLOCK = 5 | 0o4000;

function channels(): [DescriptorChannel, DescriptorChannel] {
  const fds = new Int32Array(2);
  assert.equal(socketpair(1, SEQPACKET_NONBLOCK, 0, fds), 0);
  return [new DescriptorChannel(fds[0]), new DescriptorChannel(fds[1])];
}

/** As a program of anybody could. */
function stranger(address: string): DescriptorChannel {
  const fd = socket(1, SEQPACKET_NONBLOCK, 0);
  const sockaddr = buildUnixSockaddr(address);
  assert.equal(connect(fd, sockaddr, sockaddr.length), 0);
  return new DescriptorChannel(fd);
}

const openCount = (): number => readdirSync('/proc/self/fd').length;

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

describe('an empty message', () => {
  it('leaves none of its descriptors here', () => {
    const [one, other] = channels();
    const before = openCount();
    try {
      for (let round = 0; round < 3; round++) {
        assert.ok(one.send('', new Array(DESCRIPTORS_MAX).fill(one.fd)));
        assert.equal(other.receive(), 'gone');
        assert.equal(openCount(), before);
      }
    } finally {
      one.close();
      other.close();
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

  it('nothing is read of another user, and he is sent away at once, however many he is', async () => {
    const logger = new FakeLogger();
    const other = { port, userId: userId + 1, logger, listeners: () => [], canBeTaken: () => true };
    const offer = new TakeOverOffer({ ...other, onTaken: () => {} });
    const channels = Array.from({ length: 4 }, () => stranger(takeOverAddress(port, userId + 1)));
    try {
      for (const channel of channels) channel.send('{"type":"wanted","version":1,"pid":1}');
      for (const channel of channels) {
        let answer: unknown = 'wait';
        await eventually('he is sent away', async () => {
          answer = channel.receive();
          return answer !== 'wait';
        });
        assert.equal(answer, 'gone');
      }
      const refused = logger.of('take_over_refused');
      assert.equal(refused.length, channels.length);
      assert.match(refused[0].message, /user \d+ may not take over from user \d+/);
    } finally {
      for (const channel of channels) channel.close();
      offer.close();
    }
  });

  /** An offer of one socket, and whom it let take over. */
  const offerOne = async () => {
    const logger = new FakeLogger();
    const [listener] = await openListeners([{ host: '127.0.0.1', port: 0 }], 16, SYSTEM_TCP);
    const takers: number[] = [];
    const offer = new TakeOverOffer({
      port,
      userId,
      logger,
      listeners: () => [listener],
      canBeTaken: () => true,
      onTaken: (pid) => takers.push(pid),
    });
    const close = () => {
      offer.close();
      listener.close();
    };
    return { logger, listener, takers, close };
  };

  it('of sockets of which the new process uses none: it does not serve, the old one goes on', async () => {
    const { logger, listener, takers, close } = await offerOne();
    try {
      const takeOver = await TakeOver.begin(port, userId);
      assert.ok(takeOver !== null);
      await assert.rejects(takeOver.serving(), ({ message }: Error) => {
        const where = `listens on 127.0.0.1:${listener.port}, and on nothing that this one is to listen on`;
        return message === `cannot take over: process ${process.pid} ${where}`;
      });
      await eventually('it is given up', async () => logger.of('take_over_failed').length === 1);
      assert.match(logger.of('take_over_failed')[0].message, /uses none of these sockets; this process goes/);
      assert.deepEqual([takers, listener.isShared], [[], false]);
      takeOver.abandon();
    } finally {
      close();
    }
  });

  it('a new process that says it took none, or one that there is not, ends nobody', async () => {
    const { logger, takers, close } = await offerOne();
    try {
      for (const [round, taken] of ['', '1', '-1'].entries()) {
        const channel = stranger(takeOverAddress(port, userId));
        channel.send('{"type":"wanted","version":1,"pid":1}');
        await eventually('it has the sockets', async () => typeof channel.receive() === 'object');
        channel.send(`{"type":"serving","taken":[${taken}]}`);
        await eventually('given up', async () => logger.of('take_over_failed').length === round + 1);
        channel.close();
      }
      assert.deepEqual(takers, []);
    } finally {
      close();
    }
  });
});
