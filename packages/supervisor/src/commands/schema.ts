import { configurationJsonSchema, sourceTablesSql } from '@pgdog-cluster/core/config';
import { type CommandIo, EXIT_OK, type ExitCode } from './exit-code.js';

/** `pgdog-cluster schema`: JSON Schema of either file, for editors; or the tables of [config_source], for psql. */
export function schema(file: 'pgdog' | 'users' | 'sql', io: CommandIo): ExitCode {
  if (file === 'sql') io.out(sourceTablesSql());
  else io.out(JSON.stringify(configurationJsonSchema(file), null, 2));
  return EXIT_OK;
}
