import type { Core } from '../core/instance.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { Finding } from '../rules.js';
import { BatPages } from './bat-pages.js';
import { type BatScan, type ScanOptions, scanBat } from './bat-scan.js';
import { type CompleteExamination, translatorImage } from './examination.js';
import { Translator, type TranslatorImage } from './translator.js';

/**
 * One image that was examined and opens: its file as it is after replay, the pages of its BAT, and what a scan of the
 * BAT found. The check at open, the reads after it and a check of the open image share all three.
 */
export class OpenImage {
  readonly core: Core;
  readonly examination: CompleteExamination;
  /** The file as it is after replay. */
  readonly source: RandomAccessSource;
  /** What translation and findings must know of the image. */
  readonly layout: TranslatorImage;
  readonly pages: BatPages;
  readonly translator: Translator;
  #scan: BatScan | undefined;

  constructor(core: Core, examination: CompleteExamination) {
    this.core = core;
    this.examination = examination;
    this.source = examination.source;
    this.layout = translatorImage(examination);
    this.pages = new BatPages(core, this.source, this.layout.geometry, this.layout.batOffset);
    this.translator = new Translator(this.layout, this.pages);
  }

  /** What a scan of the BAT found; undefined until one is done. */
  get scan(): BatScan | undefined {
    return this.#scan;
  }

  /** Everything that is known to be wrong or worth knowing: what the BAT says too, once it was scanned. */
  get findings(): Finding[] {
    return [...this.examination.findings, ...(this.#scan?.findings ?? [])];
  }

  /**
   * Checks the whole BAT. That is done once: the file does not change, so later calls get what the first one found. Only
   * a scan knows of blocks that share a place; from then on reads of them reject. A scan of a part is done each time.
   */
  async scanBat(options: ScanOptions = {}): Promise<BatScan> {
    options.signal?.throwIfAborted();
    if (options.shard) return scanBat(this.core, this.layout, this.pages, options);
    if (this.#scan === undefined) {
      this.#scan = await scanBat(this.core, this.layout, this.pages, options);
      this.translator.refuse(this.#scan.sharedPlaces);
    }
    return this.#scan;
  }

  /** Frees the pages. The file is left open: it belongs to the caller that opened it. */
  close(): Promise<void> {
    return this.pages.close();
  }
}
