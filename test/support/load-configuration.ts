import {
  assembleConfig,
  ConfigurationError,
  type ConfigurationSources,
  formatProblem,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';

export interface ConfigurationTexts {
  config?: string;
  users?: string;
  urls?: string[];
  environment?: Record<string, string>;
  commandLine?: Partial<ConfigurationSources['commandLine']>;
  /** Files that secrets may name. */
  files?: Record<string, string>;
}

/** assembleConfig() on literals, as if they had been read from pgdog.toml and users.toml. */
export function load(texts: ConfigurationTexts): LoadedConfig {
  return assembleConfig({
    config: texts.config === undefined ? null : { name: 'pgdog.toml', text: texts.config },
    users: texts.users === undefined ? null : { name: 'users.toml', text: texts.users },
    commandLine: { listen: [], isSessionMode: false, databaseUrls: texts.urls ?? [], ...texts.commandLine },
    environment: texts.environment ?? {},
    cpuCount: 3,
    readSecretFile: (path) => {
      const text = texts.files?.[path];
      if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' });
      return text;
    },
  });
}

/** The lines an operator would see; empty when the configuration is fine. */
export function errorsOf(texts: ConfigurationTexts): string[] {
  try {
    load(texts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.filter(({ severity }) => severity === 'error').map(formatProblem);
  }
}

export const DATABASE = '[[databases]]\nname = "shop"\nhost = "127.0.0.1"\n';
export const USER = '[[users]]\nname = "app"\ndatabase = "shop"\npassword = "hunter2"\n';
