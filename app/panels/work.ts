import { el } from '../dom.js';
import type { Work } from '../protocol.js';
import { durationText, shareText, sizeText } from '../wording.js';
import { sentenceOf } from './context.js';

/** Milliseconds over which the speed is measured. */
const WINDOW = 4000;

/** Some long work: does it, tells how far it is, and returns what to say at its end. */
export type Job = (signal: AbortSignal, tell: (work: Work) => void) => Promise<string>;

/** A button that starts long work, its progress with speed and time left, and the same button to give it up. */
export class WorkView {
  readonly #button: HTMLButtonElement;
  readonly #bar = el('progress', { max: 1, value: 0, class: 'idle' });
  readonly #text = el('p', { class: 'state' });
  readonly #live = el('p', { class: 'unseen', role: 'status' });
  readonly #verb: string;
  #running: AbortController | undefined;
  #samples: { readonly at: number; readonly read: number }[] = [];
  #quarter = 0;

  /** `verb` is what the button says; `job` is asked for when it is pressed, and may decline. */
  constructor(host: HTMLElement, verb: string, job: () => Promise<Job | undefined> | Job | undefined) {
    this.#verb = verb;
    this.#button = el('button', { type: 'button', class: 'primary' }, verb);
    this.#bar.setAttribute('aria-label', `${verb}: progress`);
    this.#button.addEventListener('click', async () => {
      if (this.#running) {
        this.#running.abort(new DOMException('given up', 'AbortError'));
        return;
      }
      const wanted = await job();
      if (wanted) await this.#run(wanted);
    });
    host.append(el('div', { class: 'work' }, this.#button, this.#bar), this.#text, this.#live);
  }

  /** Ends what runs and forgets what was said. */
  reset(): void {
    this.#running?.abort(new DOMException('other files were opened', 'AbortError'));
    this.#say('', true);
    this.#bar.value = 0;
    this.#bar.className = 'idle';
  }

  /** Whether the button can be pressed. */
  set enabled(enabled: boolean) {
    this.#button.disabled = !enabled;
  }

  async #run(job: Job): Promise<void> {
    const abort = new AbortController();
    this.#running = abort;
    this.#button.textContent = 'Cancel';
    this.#bar.className = '';
    this.#bar.value = 0;
    this.#samples = [{ at: performance.now(), read: 0 }];
    this.#quarter = 0;
    this.#say('Starting…', true);
    try {
      const outcome = await job(abort.signal, (work) => this.#tell(work));
      this.#bar.value = 1;
      this.#say(outcome, true);
    } catch (error) {
      this.#bar.value = 0;
      this.#say(sentenceOf(error) ?? 'Cancelled.', true);
    } finally {
      this.#running = undefined;
      this.#button.textContent = this.#verb;
      this.#bar.className = 'idle';
    }
  }

  #tell({ done, total, read, toRead }: Work): void {
    const now = performance.now();
    this.#samples.push({ at: now, read });
    while ((this.#samples[0]?.at ?? now) < now - WINDOW && this.#samples.length > 2) this.#samples.shift();
    const [first] = this.#samples;
    const seconds = first ? (now - first.at) / 1000 : 0;
    const speed = first && seconds > 0 ? (read - first.read) / seconds : 0;
    this.#bar.value = toRead > 0 ? read / toRead : total > 0 ? done / total : 1;
    const left = speed > 0 ? `, ${durationText((toRead - read) / speed)} left` : '';
    this.#say(
      `${sizeText(Math.round(read))} of ${sizeText(toRead)} read, ${sizeText(Math.round(speed))}/s${left}`,
      false,
    );
    const quarter = Math.floor(4 * this.#bar.value);
    if (quarter > this.#quarter) this.#live.textContent = `${shareText(read, toRead)} done`;
    this.#quarter = quarter;
  }

  /** Shows a text, and reads it out where it is worth it. */
  #say(text: string, aloud: boolean): void {
    this.#text.textContent = text;
    if (aloud) this.#live.textContent = text;
  }
}
