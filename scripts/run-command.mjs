/** Runs a child with our terminal, hands signals on and reports how it ended. */
import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/**
 * For the short steps before the real program: package manager, compiler, linter. A signal to us alone is handed
 * on; after Ctrl-C they have it twice, which is harmless to them.
 */
export function runCommand(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    const handlers = SIGNALS.map((signal) => {
      const handle = () => child.kill(signal);
      process.on(signal, handle);
      return [signal, handle];
    });
    const finish = (code) => {
      for (const [signal, handle] of handlers) process.off(signal, handle);
      resolve(code);
    };
    child.once('error', (error) => {
      console.error(`cannot run ${command}: ${error.message}`);
      finish(1);
    });
    child.once('close', (code, signal) => finish(code ?? 128 + (SIGNAL_NUMBERS[signal] ?? 0)));
  });
}
