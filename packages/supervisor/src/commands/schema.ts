import { configurationJsonSchema } from '@pgdog-cluster/core/config';
import { type CommandIo, EXIT_OK, type ExitCode } from './exit-code.js';

/** `pgdog-cluster schema`: JSON Schema of either file, for editors. */
export function schema(file: 'pgdog' | 'users', io: CommandIo): ExitCode {
  io.out(JSON.stringify(configurationJsonSchema(file), null, 2));
  return EXIT_OK;
}
