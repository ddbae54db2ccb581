import { bringIntoSight, byId, el, reachable } from '../dom.js';
import { countText, exactSizeText, hexText, sizeText } from '../wording.js';
import { dumpLines, parseOffset, parsePatterns } from './bytes-text.js';
import { type Job, JobView } from './job.js';
import { type Context, type Panel, sentenceOf } from './panel.js';

type Subject = 'disk' | 'file';

/** Bytes of a file that are shown at a time; of a disk it is one of its sectors. */
const FILE_SECTOR = 512;

/** The panel that shows any sector of the disk, or of its file, in hexadecimal. */
export class BytesPanel implements Panel {
  readonly #section = byId('panel-bytes', HTMLElement);
  readonly #choices = [...document.querySelectorAll<HTMLInputElement>('input[name="bytes-of"]')];
  readonly #place = byId('bytes-offset', HTMLInputElement);
  readonly #state = byId('bytes-state', HTMLParagraphElement);
  readonly #dump = reachable(byId('bytes-dump', HTMLElement));
  readonly #text = byId('bytes-text', HTMLPreElement);
  readonly #back = byId('bytes-back', HTMLButtonElement);
  readonly #on = byId('bytes-on', HTMLButtonElement);
  readonly #narrow = matchMedia('(max-width: 40rem)');
  #context: Context | undefined;
  #offset = 0;
  #fileSize: number | undefined;
  #shown: { readonly bytes: Uint8Array; readonly offset: number } | undefined;
  /** The place that was asked for, whose row stands out. */
  #asked: number | undefined;
  #turn = 0;
  readonly #wanted = byId('bytes-find', HTMLInputElement);
  readonly #search: JobView;
  /** Where the next search begins, if it is for the same. */
  #next: { readonly text: string; readonly of: Subject; readonly from: number } | undefined;

  constructor() {
    byId('bytes-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#goTo(this.#place.value);
    });
    this.#back.addEventListener('click', () => this.#turnTo(this.#offset - this.#sector));
    this.#on.addEventListener('click', () => this.#turnTo(this.#offset + this.#sector));
    this.#dump.addEventListener('keydown', (event) => {
      const last = Math.floor((this.#size - 1) / this.#sector) * this.#sector;
      const places: Readonly<Record<string, number>> = {
        PageUp: this.#offset - this.#sector,
        PageDown: this.#offset + this.#sector,
        Home: 0,
        End: last,
      };
      const place = places[event.key];
      if (place === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#turnTo(place);
    });
    this.#search = new JobView(byId('bytes-find-work', HTMLDivElement), 'Find', () => this.#find());
    this.#wanted.addEventListener('keydown', ({ key }) => {
      if (key === 'Enter') void this.#search.start(() => this.#find());
    });
    for (const choice of this.#choices)
      choice.addEventListener('change', () => {
        this.#search.reset();
        this.#load(0);
      });
    this.#narrow.addEventListener('change', () => this.#render());
  }

  show(context: Context): void {
    this.#context = context;
    this.#fileSize = undefined;
    for (const choice of this.#choices) {
      choice.checked = choice.value === (context.info ? 'disk' : 'file');
      choice.disabled = choice.value === 'disk' && context.diskSize === undefined;
    }
    this.#place.value = '';
    this.#next = undefined;
    this.#search.reset();
    this.#load(0);
  }

  /** Goes to a place and brings it into sight. */
  reveal(of: Subject, offset: number): void {
    for (const choice of this.#choices) choice.checked = choice.value === of;
    this.#goTo(hexText(offset));
    bringIntoSight(this.#section);
    this.#dump.focus({ preventScroll: true });
  }

  get #subject(): Subject {
    return this.#choices.find(({ checked }) => checked)?.value === 'file' ? 'file' : 'disk';
  }

  get #sector(): number {
    return this.#subject === 'disk' ? (this.#context?.info?.logicalSectorSize ?? FILE_SECTOR) : FILE_SECTOR;
  }

  /** Bytes of what is shown; of a file that does not open they are known when its first bytes are. */
  get #size(): number {
    const info = this.#context?.info;
    return (
      (this.#subject === 'disk' ? this.#context?.diskSize : (info?.fileSize ?? this.#fileSize)) ??
      Number.POSITIVE_INFINITY
    );
  }

  #goTo(text: string): void {
    const offset = parseOffset(text, this.#sector);
    if (offset === undefined)
      this.#refuse(`“${text}” is not an offset: give a sector number, an offset like 0x1be, or a size like 3 GiB.`);
    else if (offset >= this.#size)
      this.#refuse(
        `There are ${sizeText(this.#size)} (${countText(Math.ceil(this.#size / this.#sector))} sectors); ${text} is past the end.`,
      );
    else {
      this.#place.value = text;
      this.#load(offset, offset);
    }
  }

  #refuse(sentence: string): void {
    this.#state.textContent = sentence;
    this.#place.setAttribute('aria-invalid', 'true');
  }

  #turnTo(place: number): void {
    if (place < 0 || place >= this.#size || place === this.#offset) return;
    this.#place.value = hexText(place);
    this.#load(place);
  }

  /** Looks for what was typed: from the sector that is shown, and again from where it was found. */
  #find(): Job | undefined {
    const context = this.#context;
    const text = this.#wanted.value;
    const patterns = parsePatterns(text);
    if (!context) return undefined;
    if (!patterns) throw new RangeError('Give a text to look for, or bytes as 0x and pairs of hexadecimal digits.');
    const of = this.#subject;
    const isSame = this.#next?.text === text && this.#next.of === of;
    const from = isSame ? (this.#next?.from ?? 0) : this.#offset;
    return async (signal, onProgress) => {
      const { offset, leftOut } = await context.client.call(
        'search',
        { of, patterns, from },
        { signal: AbortSignal.any([signal, context.signal]), onProgress },
      );
      const rest = leftOut > 0 ? ` ${exactSizeText(leftOut)} are damaged and were not searched.` : '';
      this.#next = { text, of, from: offset === undefined ? 0 : offset + 1 };
      if (offset === undefined && from === 0) return `It is nowhere in the ${of}.${rest}`;
      if (offset === undefined) return `Not found from ${hexText(from)} on; again, to look from the start.${rest}`;
      this.#goTo(hexText(offset));
      return `Found at ${hexText(offset)}; again, to find the next.${rest}`;
    };
  }

  #load(wanted: number, asked?: number): void {
    const context = this.#context;
    if (!context) return;
    const sector = this.#sector;
    this.#offset = Math.floor(wanted / sector) * sector;
    this.#asked = asked;
    this.#place.removeAttribute('aria-invalid');
    this.#back.disabled = this.#offset === 0;
    this.#on.disabled = this.#offset + sector >= this.#size;
    this.#turn += 1;
    const turn = this.#turn;
    const where = `Sector ${countText(this.#offset / sector)} at ${hexText(this.#offset)}.`;
    context.client
      .call('bytes', { of: this.#subject, offset: this.#offset, length: sector }, { signal: context.signal })
      .then(
        ({ bytes, offset, size, origin }) => {
          if (turn !== this.#turn) return;
          if (this.#subject === 'file') this.#fileSize = size;
          this.#on.disabled = this.#offset + sector >= size;
          this.#shown = { bytes, offset };
          this.#state.textContent = `${where} ${origin}`;
          this.#render();
        },
        (error) => {
          const sentence = sentenceOf(error);
          if (turn !== this.#turn || sentence === undefined) return;
          this.#shown = undefined;
          this.#state.textContent = `${where} It cannot be read. ${sentence}`;
          this.#render();
        },
      );
  }

  #render(): void {
    const { bytes, offset } = this.#shown ?? { bytes: new Uint8Array(), offset: 0 };
    const perLine = this.#narrow.matches ? 8 : 16;
    const lines = dumpLines(bytes, offset, perLine).map((line) => `${line}\n`);
    const row = this.#asked === undefined ? -1 : Math.floor((this.#asked - offset) / perLine);
    const asked = lines[row];
    this.#dump.scrollTop = 0;
    if (asked === undefined) {
      this.#text.replaceChildren(...lines);
      return;
    }
    const mark = el('mark', {}, asked);
    this.#text.replaceChildren(...lines.slice(0, row), mark, ...lines.slice(row + 1));
    // With some of the rows before it.
    this.#dump.scrollTop = mark.offsetTop - this.#dump.clientHeight / 3;
  }
}
