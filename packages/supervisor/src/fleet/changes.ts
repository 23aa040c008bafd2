/** Lets several wait until something is so; whoever changes a thing that may matter calls look(). */
export class Changes {
  #looks: (() => void)[] = [];

  look(): void {
    for (const look of [...this.#looks]) look();
  }

  /** Resolves true when `isTrue`, false after `deadlineMs` (0 = no deadline). */
  until(isTrue: () => boolean, deadlineMs: number): Promise<boolean> {
    if (isTrue()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (result: boolean): void => {
        clearTimeout(timer);
        this.#looks = this.#looks.filter((other) => other !== look);
        resolve(result);
      };
      const look = (): void => {
        if (isTrue()) finish(true);
      };
      const timer = deadlineMs > 0 ? setTimeout(() => finish(false), deadlineMs) : undefined;
      this.#looks.push(look);
    });
  }
}
