import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testAuthority } from '../support/certificates.js';
import { clientsSettings, serversSettings } from '../support/tls-settings.js';
import { driverNames, randomFrom } from './io-fixture.js';
import { NOTHING_LEFT, TlsRig } from './tls-fixture.js';

const authority = testAuthority();
const own = authority.issue({
  subject: [['CN', 'localhost']],
  names: ['localhost'],
  addresses: ['127.0.0.1'],
});

for (const name of driverNames) {
  for (const mayPoint of [true, false]) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      test(`${name}, ${version}, BIO ${mayPoint ? 'pointed' : 'copied'}: bytes of all sizes, both ways`, () => {
        const tls = new TlsRig(name, { mayPoint });
        assert.equal(tls.worker.bios.isPointed, mayPoint, 'this OpenSSL takes pointed BIOs');
        const terms = { versionMin: version, versionMax: version };
        tls.take(clientsSettings(own, { terms }), [
          serversSettings('verify_full', { ca: authority.certificate }),
        ]);
        assert.deepEqual(tls.problems, []);
        const [server, client] = tls.pair();
        tls.until(() => server.infos.length + client.infos.length === 2);
        assert.equal(server.infos[0].version, version);
        assert.equal(client.infos[0].peer?.commonName, 'localhost');
        assert.deepEqual(client.infos[0].endPointHash, new Uint8Array(own.endPointHash('sha256')));
        assert.deepEqual(server.infos[0].endPointHash, new Uint8Array(own.endPointHash('sha256')));
        const random = randomFrom(7);
        for (const length of [1, 5, 100, 511, 2048, 2049, 16_383, 16_384, 16_385, 40_000, 300_000]) {
          const block = Buffer.from(Array.from({ length }, () => random(256)));
          for (const [from, to] of [
            [server, client],
            [client, server],
          ] as const) {
            to.chunks = [];
            const before = to.receivedBytes;
            // In pieces, so that small and large ones mix in one turn.
            for (let at = 0; at < length; ) {
              const piece = Math.min(length - at, 1 + random(random(4) === 0 ? 20_000 : 300));
              from.connection.sendBytes(block, at, at + piece);
              at += piece;
            }
            tls.until(() => to.receivedBytes === before + length);
            assert.ok(Buffer.concat(to.chunks).equals(block), `${length} bytes`);
          }
        }
        assert.deepEqual(tls.end(server, client), NOTHING_LEFT);
      });
    }
  }
}
