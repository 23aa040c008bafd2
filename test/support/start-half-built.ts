/** A program for a test: starts a supervisor of which one worker cannot start, and says what became of it. */
import { fileURLToPath } from 'node:url';
import { Supervisor } from 'pgdog-cluster';
import { FakeLogger } from './fake-logger.js';
import { load } from './load-configuration.js';

const serveFile = fileURLToPath(new URL('./half-built-serve.js', import.meta.url));
const urls = ['postgres://app:secret@127.0.0.1:1/shop'];
const loaded = load({ urls, commandLine: { workers: 3, listen: ['127.0.0.1:6432'] } });
const supervisor = new Supervisor({
  loaded: { ...loaded, listen: [{ host: '127.0.0.1', port: 0 }] },
  logger: new FakeLogger(),
  serveFile,
});
try {
  await supervisor.start();
  console.log('started');
} catch (error) {
  console.log(error instanceof Error ? error.message : String(error));
}
