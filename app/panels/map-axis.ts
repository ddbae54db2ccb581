import { byId, el } from '../dom.js';
import { hexText, sizeText } from '../wording.js';
import type { MapView } from './map-view.js';

/** Least height between two labels, in pixels. */
const APART = 34;

/** The rows of a view that have a label, and where on the disk they begin. */
export function axisLabels(view: MapView): readonly { readonly row: number; readonly text: string }[] {
  const { offset, binLength, columns, rows, height } = view;
  const step = 2 ** Math.max(0, Math.ceil(Math.log2((APART * rows) / height)));
  const labelled = Array.from({ length: Math.ceil(rows / step) }, (_, i) => i * step).filter(
    (row) => row * columns < view.bins,
  );
  const at = (row: number) => offset + row * columns * binLength;
  const sizes = labelled.map((row) => (at(row) === 0 ? '0' : sizeText(at(row))));
  const isPlain = new Set(sizes).size === sizes.length;
  return labelled.map((row, i) => ({ row, text: isPlain ? (sizes[i] ?? '') : hexText(at(row)) }));
}

/** The labels beside the map: where its rows begin. */
export class MapAxis {
  readonly #host = byId('map-axis', HTMLDivElement);

  /** Shows the labels of a view. */
  show(view: MapView | undefined): void {
    const labels = view ? axisLabels(view) : [];
    this.#host.replaceChildren(
      ...labels.map(({ row, text }) => {
        const label = el('span', {}, text);
        label.style.setProperty('--at', `${(100 * row) / (view?.rows ?? 1)}%`);
        return label;
      }),
    );
  }
}
