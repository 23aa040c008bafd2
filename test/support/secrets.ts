/**
 * Every secret a test uses, so that whatever a proxy said can be searched for them: TestProxy.stop() looks through its
 * output. Words too common to be searched for (`postgres`, `admin`) are left out.
 */
const secrets = new Set<string>();

/** Shorter ones are found in anything. */
const SECRET_CHARS_MIN = 8;
const COMMON = new Set(['postgres', 'postgres_password', 'password']);

/** Notes a secret and gives it back: `const PASSWORD = secret('correct horse')`. */
export function secret(text: string): string {
  if (text.length >= SECRET_CHARS_MIN && !COMMON.has(text)) secrets.add(text);
  return text;
}

/** The first secret that `text` shows, or null. Also as base64 and hex, the other ways bytes are printed. */
export function findSecret(text: string): string | null {
  for (const each of secrets) {
    const bytes = Buffer.from(each, 'utf8');
    const forms = [each, JSON.stringify(each).slice(1, -1), bytes.toString('base64'), bytes.toString('hex')];
    if (forms.some((form) => text.includes(form))) return each;
  }
  return null;
}
