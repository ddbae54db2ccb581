import { el } from '../dom.js';
import type { JobProgress } from '../protocol.js';
import { durationText, shareText, sizeText } from '../wording.js';
import { sentenceOf } from './panel.js';

/** Milliseconds over which the speed is averaged. */
const WINDOW = 4000;

/** A long job: does the work, reports its progress, and returns what to show at its end. */
export type Job = (signal: AbortSignal, onProgress: (progress: JobProgress) => void) => Promise<string>;

/** A button that starts a long job, its progress with speed and time left, and the same button to cancel it. */
export class JobView {
  readonly #host: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #bar = el('progress', { max: 1, value: 0, class: 'idle' });
  readonly #text = el('p', { class: 'state' });
  readonly #live = el('p', { class: 'unseen', role: 'status' });
  readonly #verb: string;
  #running: AbortController | undefined;
  #samples: { readonly at: number; readonly read: number }[] = [];
  #quarter = 0;

  /** `verb` is the button's label; `job` is called when it is pressed, and gives undefined if there is nothing to do. */
  constructor(host: HTMLElement, verb: string, job: () => Promise<Job | undefined> | Job | undefined) {
    this.#host = host;
    this.#verb = verb;
    this.#button = el('button', { type: 'button', class: 'primary' }, verb);
    this.#bar.setAttribute('aria-label', `${verb}: progress`);
    this.#button.addEventListener('click', () => {
      if (this.#running) this.#running.abort(new DOMException('cancelled', 'AbortError'));
      else void this.start(job);
    });
    host.append(el('div', { class: 'work' }, this.#button, this.#bar), this.#text, this.#live);
  }

  /** Does a job that another button asks for, unless one is running. */
  async start(job: () => Promise<Job | undefined> | Job | undefined): Promise<void> {
    if (this.#running) return;
    try {
      const wanted = await job();
      if (wanted) await this.#run(wanted);
    } catch (error) {
      this.#show(sentenceOf(error) ?? '', true);
    }
  }

  /** Cancels the running job and clears the text. */
  reset(): void {
    this.#running?.abort(new DOMException('other files were opened', 'AbortError'));
    this.#show('', true);
    this.#bar.value = 0;
    this.#bar.className = 'idle';
  }

  /** Whether the button can be pressed. */
  set enabled(enabled: boolean) {
    this.#button.disabled = !enabled;
  }

  /** Whether there is anything of it to be seen. */
  set shown(shown: boolean) {
    this.#host.hidden = !shown;
  }

  async #run(job: Job): Promise<void> {
    const abort = new AbortController();
    this.#running = abort;
    this.#button.textContent = 'Cancel';
    this.#bar.className = '';
    this.#bar.value = 0;
    this.#samples = [{ at: performance.now(), read: 0 }];
    this.#quarter = 0;
    this.#show('Starting…', true);
    try {
      const outcome = await job(abort.signal, (progress) => this.#report(progress));
      this.#bar.value = 1;
      this.#show(outcome, true);
    } catch (error) {
      this.#bar.value = 0;
      this.#show(sentenceOf(error) ?? 'Cancelled.', true);
    } finally {
      this.#running = undefined;
      this.#button.textContent = this.#verb;
      this.#bar.className = 'idle';
    }
  }

  #report({ done, total, read, toRead }: JobProgress): void {
    const now = performance.now();
    this.#samples.push({ at: now, read });
    while ((this.#samples[0]?.at ?? now) < now - WINDOW && this.#samples.length > 2) this.#samples.shift();
    const [first] = this.#samples;
    const seconds = first ? (now - first.at) / 1000 : 0;
    const speed = first && seconds > 0 ? (read - first.read) / seconds : 0;
    this.#bar.value = toRead > 0 ? read / toRead : total > 0 ? done / total : 1;
    const left = speed > 0 ? `, ${durationText((toRead - read) / speed)} left` : '';
    this.#show(
      `${sizeText(Math.round(read))} of ${sizeText(toRead)} read, ${sizeText(Math.round(speed))}/s${left}`,
      false,
    );
    const quarter = Math.floor(4 * this.#bar.value);
    if (quarter > this.#quarter) this.#live.textContent = `${shareText(read, toRead)} done`;
    this.#quarter = quarter;
  }

  /** Shows a text; `aloud`: screen readers read it out. */
  #show(text: string, aloud: boolean): void {
    this.#text.textContent = text;
    if (aloud) this.#live.textContent = text;
  }
}
