import { byId } from '../dom.js';
import { type Context, sentenceOf } from './panel.js';
import { download } from './pick.js';

/** The buttons that give the report on what is open, as JSON, once it is checked. */
export class ReportButtons {
  readonly #copy = byId('report-copy', HTMLButtonElement);
  readonly #save = byId('report-save', HTMLButtonElement);
  readonly #state = byId('report-state', HTMLSpanElement);
  #context: Context | undefined;

  constructor() {
    this.#copy.addEventListener('click', () => {
      const text = this.#text();
      const { clipboard } = navigator;
      // Safari permits copying only in the click itself, and so takes what is still to come; not all others do.
      const isPatient = 'ClipboardItem' in globalThis;
      const blob = () => text.then((report) => new Blob([report], { type: 'text/plain' }));
      const copied = isPatient
        ? clipboard.write([new ClipboardItem({ 'text/plain': blob() })])
        : text.then((report) => clipboard.writeText(report));
      this.#tell(copied, 'Copied.');
    });
    this.#save.addEventListener('click', () => {
      const { opened } = this.#context ?? {};
      const name = `${opened?.candidates[opened.subject]?.name ?? 'disk'}.json`;
      const saved = this.#text().then((report) => download(new Blob([report], { type: 'application/json' }), name));
      this.#tell(saved, `${name} was given to the browser's downloads.`);
    });
  }

  /** Nothing is checked yet. */
  reset(): void {
    this.#context = undefined;
    this.#copy.disabled = true;
    this.#save.disabled = true;
    // Pages without https have no clipboard.
    this.#copy.hidden = globalThis.navigator.clipboard === undefined;
    this.#state.textContent = '';
  }

  /** The check is done. */
  offer(context: Context): void {
    this.#context = context;
    this.#copy.disabled = false;
    this.#save.disabled = false;
  }

  #text(): Promise<string> {
    if (!this.#context) return Promise.reject(new RangeError('nothing is open'));
    return this.#context.client.call('report', null, { signal: this.#context.signal });
  }

  #tell(done: Promise<void>, text: string): void {
    const asked = this.#context;
    const show = (outcome: string) => {
      if (this.#context === asked) this.#state.textContent = outcome;
    };
    show('');
    done.then(
      () => show(text),
      (error) => {
        const isRefused = error instanceof DOMException && error.name === 'NotAllowedError';
        show(isRefused ? 'The browser does not permit copying.' : (sentenceOf(error) ?? ''));
      },
    );
  }
}
