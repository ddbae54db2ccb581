import type { Locator, Page } from 'playwright';
import { expect } from 'vitest';

/** Waits until a text of the page is as it should be. */
export async function expectText(locator: Locator, wanted: RegExp | string, timeout = 15_000): Promise<void> {
  await expect.poll(() => locator.textContent(), { timeout }).toMatch(wanted);
}

/** The terms and values of a list of facts. */
export async function factsOf(page: Page, list: string): Promise<Record<string, string>> {
  const rows = await page.locator(`${list} > div`).all();
  const pairs = rows.map(async (row) => [await row.locator('dt').textContent(), await row.locator('dd').textContent()]);
  return Object.fromEntries(await Promise.all(pairs));
}

/** Hands a file to the page as a person does who presses its button, and waits for the verdict. */
export async function openFiles(page: Page, files: string | readonly string[]): Promise<void> {
  await page.setInputFiles('#files', files);
  await page.locator('#disk').waitFor();
  await expectText(page.locator('#verdict'), /Sound|Worth a repair|Damaged|Without its parent|Does not open/);
}

/** What the legend of the map says there is of each kind, once it is complete. */
export async function legendOf(page: Page): Promise<Record<string, string>> {
  const items = await page.locator('#map-legend li').all();
  const pairs = items.map(async (item) => [
    await item.locator('.name').textContent(),
    await item.locator('.amount').textContent(),
  ]);
  return Object.fromEntries(await Promise.all(pairs));
}

/** A cell of the map under the mouse: what the page says of it, and whether the picture has that kind's colour there. */
export interface Cell {
  readonly offset: number;
  readonly end: number;
  /** Such as `data` or `zero 25 %, unmapped 75 %`. */
  readonly words: string;
  /** The kinds whose colours stand in the cell, from its foot to its head. */
  readonly colours: readonly string[];
}

/** Points at a place of the map, in shares of its width and height, and reads what is there. */
export async function cellAt(page: Page, across: number, down: number): Promise<Cell> {
  const canvas = page.locator('#map-canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  if (!box) throw new Error('the map is not to be seen');
  const position = { x: Math.min(box.width - 1, box.width * across), y: Math.min(box.height - 1, box.height * down) };
  await canvas.hover({ position });
  const readout = await page.locator('#map-readout').textContent();
  const [, offset, end, words] = /^(0x[0-9a-f]+) to (0x[0-9a-f]+) \(.*\): (.*)$/.exec(readout ?? '') ?? [];
  if (offset === undefined || end === undefined || words === undefined) throw new Error(`the map says “${readout}”`);
  const colours = await page.evaluate(coloursInColumn, position);
  return { offset: Number(offset), end: Number(end), words, colours };
}

/** Runs in the page: the kinds whose colours a column of pixels has, from the cell's foot up, as far as the cell goes. */
function coloursInColumn({ x, y }: { x: number; y: number }): string[] {
  const canvas = document.querySelector<HTMLCanvasElement>('#map-canvas');
  const pen = canvas?.getContext('2d');
  if (!canvas || !pen) throw new Error('no map');
  const ratio = canvas.width / canvas.clientWidth;
  const kinds = new Map<string, string>();
  for (const swatch of document.querySelectorAll<HTMLElement>('#map-legend .swatch')) {
    kinds.set(getComputedStyle(swatch).backgroundColor, swatch.dataset['kind'] ?? '');
  }
  const kindAt = (column: number, row: number) => {
    const [red, green, blue, alpha] = pen.getImageData(Math.floor(column * ratio), Math.floor(row * ratio), 1, 1).data;
    return alpha === 255 ? kinds.get(`rgb(${red}, ${green}, ${blue})`) : undefined;
  };
  // A cell has its gap and its outline to the right and below.
  const steps = [0, 1, 2, 3, 4].flatMap((step) => [[step, 0] as const, [0, step] as const, [step, step] as const]);
  const [left, up] = steps.find(([dx, dy]) => kindAt(x - dx, y - dy) !== undefined) ?? [0, 0];
  const column = x - left;
  let foot = y - up;
  while (kindAt(column, foot + 1) !== undefined) foot += 1;
  const found: string[] = [];
  for (let row = foot, kind = kindAt(column, row); kind !== undefined; row -= 1, kind = kindAt(column, row)) {
    if (found.at(-1) !== kind) found.push(kind);
  }
  return found;
}
