import { el } from '../dom.js';

/** Rows beyond both edges that are there too, so that scrolling finds them made. */
const MARGIN = 8;

/** Makes the content of rows. */
export type RowMaker = (from: number, to: number) => Promise<readonly Node[]>;

/**
 * A list of any length of which only the rows in sight exist. Rows are all of one height, which the style sheet
 * gives. Screen readers are told each row's place in the whole list.
 */
export function virtualList(count: number, label: string, make: RowMaker): HTMLElement {
  const list = el('ul', { class: 'rows', 'aria-label': label });
  const scroller = el('div', { class: 'virtual', tabindex: '0' }, list);
  let shown = { from: 0, to: 0 };
  let turn = 0;

  const render = async () => {
    const height = rowHeight(list);
    list.style.blockSize = `${count * height}px`;
    const first = Math.floor(scroller.scrollTop / height);
    const visible = Math.ceil(scroller.clientHeight / height);
    const from = Math.max(0, first - MARGIN);
    const to = Math.min(count, first + visible + MARGIN);
    if (from === shown.from && to === shown.to) return;
    turn += 1;
    const own = turn;
    const contents = await make(from, to);
    // Something else was scrolled to meanwhile.
    if (own !== turn) return;
    shown = { from, to };
    const rows = contents.map((content, i) => {
      const item = el('li', { 'aria-setsize': count, 'aria-posinset': from + i + 1 }, content);
      item.style.transform = `translateY(${(from + i) * height}px)`;
      return item;
    });
    list.replaceChildren(...rows);
  };
  const safely = () => {
    render().catch(() => undefined); // the panel reports failures of the disk itself
  };
  scroller.addEventListener('scroll', () => requestAnimationFrame(safely), { passive: true });
  new ResizeObserver(() => {
    shown = { from: 0, to: 0 };
    requestAnimationFrame(safely);
  }).observe(scroller);
  return scroller;
}

function rowHeight(list: HTMLElement): number {
  return Number.parseFloat(getComputedStyle(list).getPropertyValue('--row-height')) || 48;
}
