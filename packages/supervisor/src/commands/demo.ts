import { runDemo } from '../demo/demo.js';
import { EXIT_FAILED, EXIT_OK, type ExitCode } from './exit-code.js';

export interface DemoCommandOptions {
  load: boolean;
  workers: number;
  /** Where the proxy listens. */
  port: number;
}

/** `pgdog-cluster demo`: ends with Ctrl-C. */
export async function demo(options: DemoCommandOptions): Promise<ExitCode> {
  return (await runDemo(options)) === 0 ? EXIT_OK : EXIT_FAILED;
}
