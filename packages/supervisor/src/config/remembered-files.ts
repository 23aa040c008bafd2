import type { IncludeReader, ReadSecretFile } from '@pgdog-cluster/core/config';

/**
 * Files as they were when they were read first. An order changes one thing: what somebody is writing into the files at that
 * moment waits for a reload.
 */
export class RememberedFiles implements IncludeReader {
  readonly #files: IncludeReader;
  readonly #readSecret: ReadSecretFile;
  /** What a question gave, or threw. */
  readonly #known = new Map<string, { value?: unknown; error?: unknown }>();

  constructor(files: IncludeReader, readSecret: ReadSecretFile) {
    this.#files = files;
    this.#readSecret = readSecret;
  }

  identityOf(name: string): string {
    return this.#files.identityOf(name);
  }

  find(pattern: string, from: string): string[] {
    return this.#once(['find', pattern, from], () => this.#files.find(pattern, from));
  }

  read(name: string): string {
    return this.#once(['read', name], () => this.#files.read(name));
  }

  readonly readSecretFile: ReadSecretFile = (path, source) =>
    this.#once(['secret', path, source], () => this.#readSecret(path, source));

  #once<T>(question: string[], ask: () => T): T {
    // No path holds a NUL.
    const key = question.join('\0');
    let answer = this.#known.get(key);
    if (answer === undefined) {
      answer = {};
      try {
        answer.value = ask();
        this.#known.set(key, answer);
      } catch (error) {
        // A file that an order names may be made, and the order given again.
        if (question[0] !== 'secret') this.#known.set(key, { error });
        throw error;
      }
    }
    if ('error' in answer) throw answer.error;
    return answer.value as T;
  }
}
