import { humanSize } from './byte-size.js';

/** Milliseconds over which a speed is averaged. */
const WINDOW = 5000;
/** Widest and narrowest bar, in characters. */
const WIDEST = 40;
const NARROWEST = 5;

/** How fast some work is, from what it reports. */
export class Speed {
  #samples: { readonly at: number; readonly done: number }[] = [];

  /** Takes a report: bytes that are done at a time in milliseconds. */
  add(done: number, at: number): void {
    this.#samples.push({ at, done });
    // One older than the window stays, so that slow work has a speed too.
    while ((this.#samples[1]?.at ?? at) < at - WINDOW) this.#samples.shift();
  }

  /** Bytes per second; undefined as long as it is not known. */
  get perSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.at <= first.at || last.done <= first.done) return undefined;
    return ((last.done - first.done) * 1000) / (last.at - first.at);
  }
}

/** How far some work is. */
export interface Shown {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** In bytes per second, if it is known. */
  readonly speed: number | undefined;
}

/** A line that says how far work is, with a bar, in at most so many characters. What there is no room for is left out. */
export function progressLine({ label, done, total, speed }: Shown, width: number): string {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const percent = `${Math.floor(share * 100)}%`;
  const fast = speed === undefined ? '' : ` ${humanSize(Math.round(speed))}/s`;
  const left = speed === undefined ? '' : ` ${durationText((total - done) / speed)}`;
  const tails = [`${fast}${left === '' ? '' : `,${left} left`}`, `${fast}${left}`, left, ''];
  const room = (tail: string) => width - `${label} [] ${percent}${tail}`.length;
  const tail = tails.find((one) => room(one) >= NARROWEST) ?? '';
  const bar = Math.min(WIDEST, room(tail));
  if (bar < NARROWEST) return `${label} ${percent}`.slice(0, Math.max(0, width));
  const full = Math.round(bar * share);
  return `${label} [${'='.repeat(full)}${'-'.repeat(bar - full)}] ${percent}${tail}`;
}

/** A time in the two units that say enough of it: `8s`, `12m05s`, `3h07m`, `2d04h`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (count: number) => String(count).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d${two(Math.floor((minutes % 1440) / 60))}h`;
}
