import { type PgDogError, parseStartupOptions, type StartupMessage } from '@pgdog-cluster/core';
import { parameterFromValue, type SessionParameter } from './parameter-set.js';

/** Start-up parameters that are not settings. */
const NOT_SETTINGS = new Set(['user', 'database', 'options', 'replication']);

/** Settings of the start-up packet and of its `options`; the former win, as in Postgres's process_settings. */
export function readSettings(message: StartupMessage): Map<string, SessionParameter> | PgDogError {
  const settings = new Map<string, SessionParameter>();
  const options = message.parameters.get('options');
  if (options !== undefined) {
    const parsed = parseStartupOptions(options);
    if (parsed.error !== null) return parsed.error;
    for (const [name, value] of parsed.settings) {
      const parameter = parameterFromValue(name, value);
      settings.set(parameter.name, parameter);
    }
  }
  for (const [name, value] of message.parameters) {
    if (NOT_SETTINGS.has(name)) continue;
    const parameter = parameterFromValue(name, value);
    settings.set(parameter.name, parameter);
  }
  return settings;
}
