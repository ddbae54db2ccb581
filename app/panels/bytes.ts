import { byId, reachable } from '../dom.js';
import { countText, hexText, sizeText } from '../wording.js';
import { type Context, type Panel, sentenceOf } from './panel.js';

type Subject = 'disk' | 'file';

/** Bytes of a file that are shown at a time; of a disk it is one of its sectors. */
const FILE_SECTOR = 512;

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

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
  #turn = 0;

  constructor() {
    byId('bytes-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#goTo(this.#place.value);
    });
    this.#back.addEventListener('click', () => this.#step(-1));
    this.#on.addEventListener('click', () => this.#step(1));
    this.#dump.addEventListener('keydown', (event) => {
      const steps: Readonly<Record<string, number>> = { PageUp: -1, PageDown: 1 };
      const step = steps[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.#step(step);
    });
    for (const choice of this.#choices) choice.addEventListener('change', () => this.#load(0));
    this.#narrow.addEventListener('change', () => this.#render());
  }

  show(context: Context): void {
    this.#context = context;
    this.#fileSize = undefined;
    const isThere = context.info !== undefined;
    for (const choice of this.#choices) {
      choice.checked = choice.value === (isThere ? 'disk' : 'file');
      choice.disabled = choice.value === 'disk' && !isThere;
    }
    this.#place.value = '';
    this.#load(0);
  }

  /** Goes to a place and brings it into sight. */
  reveal(of: Subject, offset: number): void {
    for (const choice of this.#choices) choice.checked = choice.value === of;
    this.#goTo(hexText(offset));
    this.#section.scrollIntoView({
      block: 'nearest',
      behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
    });
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
      (this.#subject === 'disk' ? info?.virtualSize : (info?.fileSize ?? this.#fileSize)) ?? Number.POSITIVE_INFINITY
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
      this.#load(offset);
    }
  }

  #refuse(sentence: string): void {
    this.#state.textContent = sentence;
    this.#place.setAttribute('aria-invalid', 'true');
  }

  #step(sectors: number): void {
    const next = this.#offset + sectors * this.#sector;
    if (next < 0 || next >= this.#size) return;
    this.#place.value = hexText(next);
    this.#load(next);
  }

  #load(wanted: number): void {
    const context = this.#context;
    if (!context) return;
    const sector = this.#sector;
    this.#offset = Math.floor(wanted / sector) * sector;
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
    const shown = this.#shown;
    this.#text.textContent = shown ? dumpText(shown.bytes, shown.offset, this.#narrow.matches ? 8 : 16) : '';
    this.#dump.scrollTop = 0;
  }
}

/**
 * Reads an offset that was typed, in bytes: a plain number is a sector, `0x1f` a byte offset, `3 GiB` or `3G` a size.
 * Undefined if it is none of these.
 */
export function parseOffset(text: string, sectorSize: number): number | undefined {
  const bare = text.trim().replaceAll(/[,_]/g, '');
  if (/^\d+$/.test(bare)) return Number(bare) * sectorSize;
  if (/^0x[0-9a-f]+$/i.test(bare)) return Number(bare);
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b)?$/i.exec(bare) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  return Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 1));
}

/** Bytes in hexadecimal and as text, in the manner of `hexdump -C`, `perLine` of them in a line. */
export function dumpText(bytes: Uint8Array, offset: number, perLine: number): string {
  const lines: string[] = [];
  const width = Math.max(8, (offset + bytes.length).toString(16).length);
  for (let at = 0; at < bytes.length; at += perLine) {
    const line = bytes.subarray(at, at + perLine);
    const hex = Array.from(
      line,
      (byte, i) => `${i % 8 === 0 && i > 0 ? ' ' : ''}${byte.toString(16).padStart(2, '0')}`,
    ).join(' ');
    const text = Array.from(line, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    const full = 3 * perLine - 1 + Math.floor((perLine - 1) / 8);
    lines.push(`${(offset + at).toString(16).padStart(width, '0')}  ${hex.padEnd(full)}  ${text}`);
  }
  return lines.join('\n');
}
