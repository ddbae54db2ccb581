import type { Partition } from '../../src/volumes/index.js';
import { bringIntoSight, byId, el, reachable } from '../dom.js';
import type { Kind, MapBins } from '../protocol.js';
import { rangeText, sizeText } from '../wording.js';
import { MapAxis } from './map-axis.js';
import { cellText, legendItems } from './map-legend.js';
import { type Palette, paintCells, paintCursor, paintOwners, prepare, readPalette } from './map-paint.js';
import { ownersOf, PartitionBand } from './map-partitions.js';
import { MapStrip } from './map-strip.js';
import {
  binLengthFor,
  cellAt,
  cellUnder,
  type MapFrame,
  type MapView,
  movedView,
  viewAround,
  wholeView,
  ZOOM,
  zoomedView,
} from './map-view.js';
import { type Context, type Panel, sentenceOf } from './panel.js';

/** The panel with the map of the disk. */
export class MapPanel implements Panel {
  readonly #canvas = reachable(byId('map-canvas', HTMLCanvasElement));
  readonly #scale = byId('map-scale', HTMLParagraphElement);
  readonly #readout = byId('map-readout', HTMLSpanElement);
  readonly #legend = byId('map-legend', HTMLUListElement);
  readonly #showBytes = byId('map-bytes', HTMLButtonElement);
  readonly #buttons = {
    in: byId('zoom-in', HTMLButtonElement),
    out: byId('zoom-out', HTMLButtonElement),
    all: byId('zoom-all', HTMLButtonElement),
  };
  readonly #probe = el('span', { class: 'swatch unseen', 'aria-hidden': 'true' });
  readonly #strip = new MapStrip((offset) => this.#look((frame, view) => movedView(frame, view, offset)));
  readonly #axis = new MapAxis();
  readonly #band = new PartitionBand();
  readonly #section = byId('panel-map', HTMLElement);
  #palette: Palette;
  #partitions: readonly Partition[] = [];
  #owners: Int32Array = new Int32Array();
  #context: Context | undefined;
  #view: MapView | undefined;
  #bins: MapBins | undefined;
  /** Where the cursor is on the disk, in bytes. */
  #cursor = 0;
  #hover: number | undefined;
  #loading: AbortController | undefined;

  constructor() {
    // It has keys of its own, which screen readers must let through.
    this.#canvas.setAttribute('role', 'application');
    this.#canvas.after(this.#probe);
    this.#palette = readPalette(this.#probe);
    this.#buttons.in.addEventListener('click', () => this.#zoom(1 / ZOOM));
    this.#buttons.out.addEventListener('click', () => this.#zoom(ZOOM));
    this.#buttons.all.addEventListener('click', () => this.#look(wholeView));
    this.#showBytes.addEventListener('click', () => this.#context?.showBytes('disk', this.#cursor));
    this.#canvas.addEventListener('keydown', (event) => this.#onKey(event));
    this.#canvas.addEventListener('pointermove', (event) => this.#onPoint(event));
    this.#canvas.addEventListener('pointerleave', () => this.#onPoint(undefined));
    this.#canvas.addEventListener('click', (event) => this.#select(this.#cellUnder(event)));
    this.#canvas.addEventListener('dblclick', () => this.#zoom(1 / ZOOM));
    this.#canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    new ResizeObserver(() =>
      this.#look(this.#view && this.#view.offset + this.#view.length < (this.#frame?.size ?? 0) ? refit : wholeView),
    ).observe(this.#canvas);
    // Paper is light.
    for (const media of ['(prefers-color-scheme: dark)', 'print'])
      matchMedia(media).addEventListener('change', () => {
        this.#palette = readPalette(this.#probe);
        this.#paint();
        this.#strip.repaint(this.#palette);
      });
  }

  show(context: Context): void {
    this.#loading?.abort();
    this.#context = context;
    this.#bins = undefined;
    this.#view = undefined;
    this.#cursor = 0;
    this.#palette = readPalette(this.#probe);
    this.#legend.replaceChildren(...legendItems(undefined, this.#kinds));
    this.#strip.paint(undefined, this.#palette);
    this.#partitions = [];
    this.#band.show([], 0);
    this.#axis.show(undefined);
    this.#look(wholeView);
    if (context.info) this.#loadPartitions(context, context.info.virtualSize);
    if (this.#frame) this.#loadStrip(context, this.#frame);
    else this.#say('The disk is empty.');
  }

  /** Brings the map into sight with a range of the disk, and the cursor at its start. */
  reveal(offset: number, length: number): void {
    this.#cursor = offset;
    this.#look((frame) => viewAround(frame, offset, length));
    this.#cursor = Math.floor(offset / (this.#view?.binLength ?? 1)) * (this.#view?.binLength ?? 1);
    bringIntoSight(this.#section);
    this.#canvas.focus({ preventScroll: true });
  }

  /** The kinds of bytes that the disk may have; what a parent holds only if there is one, or one is missing. */
  get #kinds(): readonly Kind[] {
    const { chain = [], missing } = this.#context?.opened ?? {};
    const kinds: Kind[] = ['data', 'zero', 'unmapped', 'damaged'];
    if (chain.length > 1) kinds.push('parent');
    if (missing !== undefined) kinds.push('absent');
    return kinds;
  }

  get #frame(): MapFrame | undefined {
    const info = this.#context?.info;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!info || info.virtualSize === 0 || width === 0) return undefined;
    return { size: info.virtualSize, sectorSize: info.logicalSectorSize, width, height };
  }

  /** Shows another part of the disk. */
  #look(where: (frame: MapFrame, view: MapView) => MapView): void {
    const frame = this.#frame;
    if (!frame) {
      this.#paint();
      return;
    }
    const view = where(frame, this.#view ?? wholeView(frame));
    const before = this.#bins;
    this.#view = view;
    if (
      before &&
      !(before.offset === view.offset && before.binLength === view.binLength && before.length === view.length)
    )
      this.#bins = undefined;
    this.#cursor = Math.max(view.offset, Math.min(view.offset + view.length - 1, this.#cursor));
    this.#buttons.all.disabled = this.#buttons.out.disabled = view.length >= frame.size;
    this.#buttons.in.disabled = view.binLength <= frame.sectorSize;
    this.#scale.textContent = `${view.length >= frame.size ? 'Whole disk' : rangeText(view.offset, view.offset + view.length)}, a cell is ${sizeText(view.binLength)}`;
    this.#owners = ownersOf(view, this.#partitions);
    this.#axis.show(view);
    this.#strip.follow(view, frame.size);
    this.#paint();
    this.#load(view);
  }

  #load({ offset, length, binLength }: MapView): void {
    const context = this.#context;
    if (!context) return;
    this.#loading?.abort();
    this.#loading = new AbortController();
    const signal = AbortSignal.any([this.#loading.signal, context.signal]);
    const take = (bins: MapBins) => {
      this.#bins = bins;
      this.#paint();
      this.#describe();
    };
    context.client.call('map', { offset, length, binLength }, { signal, onProgress: take }).then(take, (error) => {
      const sentence = sentenceOf(error);
      if (sentence !== undefined) this.#say(`The map could not be completed. ${sentence}`);
    });
  }

  #loadPartitions(context: Context, size: number): void {
    context.partitions().then(
      ({ partitions }) => {
        if (this.#context !== context) return;
        this.#partitions = partitions;
        this.#band.show(partitions, size);
        if (this.#view) this.#owners = ownersOf(this.#view, partitions);
        this.#paint();
        this.#describe();
      },
      () => undefined, // the panel of the partitions says why
    );
  }

  #loadStrip(context: Context, { size, sectorSize, width }: MapFrame): void {
    const take = (bins: MapBins) => {
      this.#strip.paint(bins, this.#palette);
      this.#legend.replaceChildren(...legendItems(bins, this.#kinds));
    };
    const binLength = binLengthFor(size, Math.max(64, Math.floor(width)), sectorSize);
    // Its failures are those of the map itself, which reports them.
    context.client
      .call('map', { offset: 0, length: size, binLength }, { signal: context.signal, onProgress: take })
      .then(take, () => undefined);
  }

  #paint(): void {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0) return;
    const pen = prepare(this.#canvas, clientWidth, clientHeight);
    const view = this.#view;
    if (!pen || !view || !this.#frame) return;
    const brush = { pen, palette: this.#palette };
    paintCells(brush, view, this.#bins);
    paintOwners(brush, view, this.#owners);
    if (this.#hover !== undefined) paintCursor(brush, view, this.#hover, false);
    paintCursor(brush, view, cellAt(view, this.#cursor), true);
  }

  #zoom(factor: number): void {
    this.#look((frame, view) => zoomedView(frame, view.binLength * factor, this.#cursor + view.binLength / 2));
  }

  /** Moves the cursor to a cell; `aloud` if it is moved without being seen. */
  #select(cell: number | undefined, aloud = false): void {
    const view = this.#view;
    if (!view || cell === undefined) return;
    const first = view.offset / view.binLength;
    const wanted = (first + cell) * view.binLength;
    const size = this.#frame?.size ?? 0;
    this.#cursor = Math.max(0, Math.min(wanted, (Math.ceil(size / view.binLength) - 1) * view.binLength));
    this.#readout.setAttribute('aria-live', aloud ? 'polite' : 'off');
    const outside = this.#cursor < view.offset || this.#cursor >= view.offset + view.length;
    const step = view.columns * view.binLength * (this.#cursor < view.offset ? -1 : 1);
    if (outside) this.#look((frame, now) => movedView(frame, now, now.offset + step));
    this.#hover = undefined;
    this.#paint();
    this.#describe();
  }

  #describe(): void {
    const view = this.#view;
    if (!view || !this.#bins) return;
    const cell = this.#hover ?? cellAt(view, this.#cursor);
    this.#showBytes.disabled = false;
    this.#say(cellText(this.#bins, cell, this.#partitions));
  }

  #say(text: string): void {
    if (this.#readout.textContent !== text) this.#readout.textContent = text;
  }

  #cellUnder({ offsetX, offsetY }: MouseEvent): number | undefined {
    return this.#view && cellUnder(this.#view, offsetX, offsetY);
  }

  #onPoint(event: PointerEvent | undefined): void {
    const cell = event && this.#cellUnder(event);
    if (cell === this.#hover) return;
    this.#hover = cell;
    this.#readout.setAttribute('aria-live', 'off');
    this.#paint();
    this.#describe();
  }

  #onWheel(event: WheelEvent): void {
    // The plain wheel scrolls the page; with Ctrl, which pinching is too, it zooms.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#select(this.#cellUnder(event));
    this.#zoom(event.deltaY < 0 ? 1 / ZOOM : ZOOM);
  }

  #onKey(event: KeyboardEvent): void {
    const view = this.#view;
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = Math.floor((this.#cursor - view.offset) / view.binLength);
    const move = (to: number) => () => this.#select(to, true);
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: move(cell - 1),
      ArrowRight: move(cell + 1),
      // From the first and the last row there is no way up and down.
      ArrowUp: move(cell < view.columns ? cell : cell - view.columns),
      ArrowDown: move(cell + view.columns < view.bins ? cell + view.columns : cell),
      Home: move(0),
      End: move(view.bins - 1),
      '+': () => this.#zoom(1 / ZOOM),
      '=': () => this.#zoom(1 / ZOOM),
      '-': () => this.#zoom(ZOOM),
      '0': () => this.#look(wholeView),
      Enter: () => this.#showBytes.click(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/** The view as it was, after the canvas got another size. */
function refit(frame: MapFrame, view: MapView): MapView {
  return zoomedView(frame, view.binLength, view.offset + view.length / 2);
}
