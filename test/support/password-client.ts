/** The client half of SCRAM with a password at hand: it derives its keys where the exchange asks for them. */
import { deriveScramKeys, ScramClient, type ScramClientOptions } from '@pgdog-cluster/core';

export class PasswordClient extends ScramClient {
  readonly #password: string;

  constructor(password: string, options: Partial<ScramClientOptions> = {}) {
    super({ mechanisms: ['SCRAM-SHA-256'], ...options });
    this.#password = password;
  }

  override handleContinue(data: Uint8Array): ReturnType<ScramClient['handleContinue']> {
    const step = super.handleContinue(data);
    if (step.kind !== 'derive') return step;
    return this.handleKeys(deriveScramKeys(this.#password, step.salt, step.iterations));
  }
}
