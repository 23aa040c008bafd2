import { byId, element } from './dom.js';

const KEY = 'pgdog-cluster token';

/** Kept for this tab only. */
export function knownToken(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Asks for the token where one is needed. */
export class TokenForm {
  readonly #root: HTMLElement;
  readonly #input = element('input', { id: 'token', type: 'password', autocomplete: 'off', required: '' });
  readonly #problem = element('p', { class: 'problem', role: 'alert' });
  #isAsked = false;

  constructor(onToken: (token: string) => void) {
    const label = element('label', { for: 'token', text: 'openmetrics_token of this pgdog-cluster' });
    const button = element('button', { type: 'submit', text: 'Show the figures' });
    const form = element('form', { class: 'token' }, label, this.#input, button, this.#problem);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const token = this.#input.value.trim();
      sessionStorage.setItem(KEY, token);
      onToken(token);
    });
    this.#root = form;
    this.#root.hidden = true;
    byId('main').prepend(this.#root);
  }

  /** @param isNeeded what we have, if anything, was refused */
  show(isNeeded: boolean): void {
    if (isNeeded && this.#isAsked) this.#problem.textContent = 'That is not the token.';
    if (isNeeded && !this.#isAsked) this.#problem.textContent = '';
    this.#isAsked = isNeeded;
    this.#root.hidden = !isNeeded;
    document.body.classList.toggle('is-locked', isNeeded);
    if (isNeeded) this.#input.focus();
  }
}
