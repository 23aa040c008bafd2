/** One thing wrong with (error) or noteworthy about (warning) the configuration. Never contains a secret. */
export interface ConfigurationProblem {
  severity: 'error' | 'warning';
  /** File as the user named it, or `-d`, `--listen`, an environment variable. */
  source: string;
  /** From 1; 0 when the source has no lines or the place is not known. */
  line: number;
  /** Dotted key such as `general.port` or `databases[0].host`; empty when no key is concerned. */
  key: string;
  message: string;
}

/** `pgdog.toml:3: general.prot: unknown key; did you mean "port"?` */
export function formatProblem(problem: ConfigurationProblem): string {
  const place = problem.line > 0 ? `${problem.source}:${problem.line}` : problem.source;
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${place}: ${key}${problem.message}`;
}

/** Configuration that cannot be used. Carries every error found, so that one run tells them all. */
export class ConfigurationError extends Error {
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}
