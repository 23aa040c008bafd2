import { isLoopback } from '../base/peer-address.js';
import type { GeneralSettings } from './defaults.js';
import type { Place, ProblemList } from './problem-list.js';
import type { Secret } from './secret.js';

/** Shorter ones are guessed by whoever may ask as often as he likes. */
const TOKEN_LENGTH_MIN = 16;

/** What a header takes as it is: ASCII that can be seen. */
function isSendable(token: string): boolean {
  for (const unit of token) if (unit <= ' ' || unit > '~') return false;
  return true;
}

/** May the HTTP port be opened as it is asked for? */
export function checkHttp(
  general: GeneralSettings,
  token: Secret | null,
  place: (key: string) => Place,
  problems: ProblemList,
): void {
  const text = token?.reveal() ?? null;
  if (text !== null && (text.length < TOKEN_LENGTH_MIN || !isSendable(text))) {
    problems.error(
      place('openmetrics_token'),
      `expected ${TOKEN_LENGTH_MIN} or more visible ASCII characters without blanks (openssl rand -hex 32)`,
    );
  }
  if (general.openmetrics_port !== null && text === null && !isLoopback(general.openmetrics_host)) {
    problems.warning(
      place('openmetrics_host'),
      'whoever reaches this address sees databases, users and shapes of statements: set openmetrics_token',
    );
  }
}
