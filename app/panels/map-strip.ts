import { byId } from '../dom.js';
import type { MapBins } from '../protocol.js';
import { rangeText } from '../wording.js';
import { type Palette, paintStrip, prepare } from './map-paint.js';
import type { MapView } from './map-view.js';

/** The strip below the map: the whole disk, and on it a slider that is as wide as what the map shows. */
export class MapStrip {
  readonly #canvas = byId('map-strip-canvas', HTMLCanvasElement);
  readonly #slider = byId('map-position', HTMLInputElement);
  #bins: MapBins | undefined;
  #view: MapView | undefined;

  /** `onMove` gets where the map shall begin, in bytes. */
  constructor(onMove: (offset: number) => void) {
    this.#slider.addEventListener('input', () => {
      if (this.#view) onMove(Number(this.#slider.value) * this.#view.binLength);
    });
  }

  /** Width in pixels. */
  get width(): number {
    return this.#canvas.clientWidth;
  }

  /** Paints the whole disk. */
  paint(bins: MapBins | undefined, palette: Palette): void {
    this.#bins = bins;
    const { clientWidth, clientHeight } = this.#canvas;
    const pen = prepare(this.#canvas, clientWidth, clientHeight);
    if (pen && bins) paintStrip({ pen, palette }, bins, clientWidth, clientHeight);
  }

  /** Paints again what was painted last, after colours or sizes changed. */
  repaint(palette: Palette): void {
    this.paint(this.#bins, palette);
  }

  /** Puts the slider where the map is. */
  follow(view: MapView, size: number): void {
    this.#view = view;
    const isWhole = view.length >= size;
    this.#slider.disabled = isWhole;
    this.#slider.max = String(Math.max(0, Math.ceil(size / view.binLength) - view.bins));
    this.#slider.value = String(view.offset / view.binLength);
    this.#slider.style.setProperty('--share', `${(100 * view.length) / Math.max(1, size)}%`);
    this.#slider.setAttribute(
      'aria-valuetext',
      isWhole ? 'the whole disk' : rangeText(view.offset, view.offset + view.length),
    );
  }
}
