import { byId, el, reachable } from '../dom.js';
import type { FilePreview } from '../protocol.js';
import { sizeText } from '../wording.js';
import { sentenceOf } from './panel.js';

/**
 * Shows what is in a file of the disk, which may be anybody's: text as text, and pictures as pictures of a type that the
 * page has chosen. Nothing of it becomes part of the document.
 */
export class FilePreviewView {
  readonly #section = byId('files-preview', HTMLElement);
  readonly #title = byId('files-preview-title', HTMLHeadingElement);
  readonly #state = byId('files-preview-state', HTMLParagraphElement);
  readonly #body = reachable(byId('files-preview-body', HTMLElement));
  #abort = new AbortController();
  #url: string | undefined;
  /** What had the focus when it was opened. */
  #from: Element | null = null;

  constructor() {
    byId('files-preview-close', HTMLButtonElement).addEventListener('click', () => this.#leave());
    this.#section.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#leave();
    });
  }

  /** Shows a file when it is there. */
  show(name: string, load: (signal: AbortSignal) => Promise<FilePreview>): void {
    this.close();
    this.#from = document.activeElement;
    this.#section.hidden = false;
    this.#title.textContent = name;
    this.#title.focus();
    this.#state.textContent = 'Reading…';
    const { signal } = this.#abort;
    load(signal).then(
      (preview) => {
        if (!signal.aborted) this.#render(name, preview);
      },
      (error) => {
        const sentence = sentenceOf(error);
        if (sentence !== undefined && !signal.aborted) this.#state.textContent = sentence;
      },
    );
  }

  /** Takes away what is shown. */
  close(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#section.hidden = true;
    this.#body.replaceChildren();
    this.#body.hidden = true;
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
    this.#url = undefined;
  }

  #leave(): void {
    this.close();
    if (this.#from instanceof HTMLElement) this.#from.focus();
  }

  #render(name: string, { size, text, isCut, picture }: FilePreview): void {
    this.#body.hidden = text === undefined && picture === undefined;
    if (picture) {
      this.#url = URL.createObjectURL(picture);
      this.#state.textContent = `A picture, ${sizeText(size)}.`;
      const onerror = () => {
        this.#state.textContent = `A picture, ${sizeText(size)}, which this browser cannot show: it can be saved.`;
      };
      this.#body.append(el('img', { src: this.#url, alt: name, onerror }));
    } else if (text !== undefined) {
      this.#state.textContent = isCut ? `The first ${sizeText(64 * 1024)} of ${sizeText(size)}.` : `${sizeText(size)}.`;
      this.#body.append(el('pre', {}, text));
    } else {
      this.#state.textContent = `${sizeText(size)}, neither text nor a picture that can be shown: it can be saved.`;
    }
  }
}
