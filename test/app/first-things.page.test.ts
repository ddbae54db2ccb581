import { describe, expect, onTestFinished, test } from 'vitest';
import { contentBytes, pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { MiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

// In every browser that there is, so without a program that drives one: the page is in a frame, and the spec does in it
// what a person does first.

const block = { state: STATE.fullyPresent, data: pattern(1) };
const base = () => buildImage({ virtualSize: 8 * MiB, blockSize: MiB, blocks: { 0: block, 2: block } });
const child = () => {
  const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
  const data = { state: STATE.fullyPresent, data: pattern(2) };
  return buildImage({
    type: 'differencing',
    virtualSize: 8 * MiB,
    blockSize: MiB,
    blocks: { 2: data },
    parentLocator: { entries },
  });
};

/** What the disk of the child holds. */
function content(): Uint8Array {
  const bytes = new Uint8Array(8 * MiB);
  bytes.set(contentBytes(pattern(1), 0, MiB), 0);
  bytes.set(contentBytes(pattern(2), 0, MiB), 2 * MiB);
  return bytes;
}

const fileOf = (image: BuiltImage, name: string) => new File([image.toUint8Array() as Uint8Array<ArrayBuffer>], name);

/** Opens the page in a frame. */
async function inspector() {
  const frame = document.createElement('iframe');
  frame.width = '1000';
  frame.height = '800';
  frame.src = '/inspector/index.html';
  document.body.append(frame);
  onTestFinished(() => frame.remove());
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
  const page = frame.contentDocument;
  const scope = frame.contentWindow as (Window & typeof globalThis) | null;
  if (!page || !scope) throw new Error('the frame has no page');
  const find = <T extends Element = HTMLElement>(selector: string): T => {
    const found = page.querySelector<T>(selector);
    if (!found) throw new Error(`the page has no ${selector}`);
    return found;
  };
  return {
    scope,
    find,
    textOf: (selector: string) => () => page.querySelector(selector)?.textContent ?? '',
    allOf: (selector: string) => () => [...page.querySelectorAll(selector)].map(({ textContent }) => textContent),
    click: (selector: string) => find(selector).click(),
    /** Chooses files as the dialog of the browser hands them over. */
    choose(...files: readonly File[]) {
      const transfer = new scope.DataTransfer();
      for (const file of files) transfer.items.add(file);
      const field = find<HTMLInputElement>('#files');
      field.files = transfer.files;
      field.dispatchEvent(new scope.Event('change'));
    },
    drop(...files: readonly File[]) {
      const transfer = new scope.DataTransfer();
      for (const file of files) transfer.items.add(file);
      for (const type of ['dragenter', 'dragover', 'drop']) {
        const event = new scope.DragEvent(type, { bubbles: true, cancelable: true });
        // Firefox takes none from a script.
        Object.defineProperty(event, 'dataTransfer', { value: transfer });
        page.body.dispatchEvent(event);
      }
    },
  };
}

const patience = { timeout: 20_000 };

describe('what a person does first in the inspector', () => {
  test('a disk is opened, with its verdict, its map, its bytes and its checksum', async () => {
    const page = await inspector();
    page.choose(fileOf(base(), 'base.vhdx'));
    await expect.poll(page.textOf('#verdict'), patience).toContain('Sound');
    expect(page.textOf('#disk-name')()).toBe('base.vhdx');
    await expect.poll(page.textOf('#map-legend'), patience).toContain('Data2 MiB, 25 %');
    await expect.poll(page.textOf('#map-readout'), patience).toMatch(/^0x0 to 0x\w+ \(.* at the start\): data$/);
    const pixels = page.find<HTMLCanvasElement>('#map-canvas').getContext('2d')?.getImageData(3, 3, 1, 1).data;
    expect(pixels?.[3]).toBe(255);
    const first = [...contentBytes(pattern(1), 0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    await expect.poll(page.textOf('#bytes-text'), patience).toContain(`00000000  ${first}`);
    page.click('#checksum-work button');
    const sum = new Uint8Array(8 * MiB);
    sum.set(contentBytes(pattern(1), 0, MiB), 0);
    sum.set(contentBytes(pattern(1), 0, MiB), 2 * MiB);
    await expect.poll(page.textOf('#checksum-hex'), patience).toBe(crc32cReference(sum).toString(16).padStart(8, '0'));
  });

  test('findings are unfolded, and lead to bytes', async () => {
    const page = await inspector();
    page.choose(fileOf(buildImage({ regionTables: [{}, { checksum: 0xdeadbeef }] }), 'odd.vhdx'));
    await expect.poll(page.textOf('#verdict'), patience).toContain('Worth a repair');
    page.click('.finding summary');
    await expect.poll(page.textOf('.finding .place'), patience).toContain('region table 2');
    page.click('.finding .place button');
    await expect.poll(page.textOf('#bytes-text mark'), patience).toMatch(/^00040000 {2}72 65 67 69 ef be ad de/);
  });

  test('a chain that is dropped together is one disk, and is saved as one', async () => {
    const page = await inspector();
    const downloads: Blob[] = [];
    page.scope.URL.createObjectURL = (blob: Blob) => {
      downloads.push(blob);
      return '#';
    };
    Reflect.deleteProperty(page.scope, 'showSaveFilePicker');
    page.drop(fileOf(base(), 'base.vhdx'), fileOf(child(), 'child.avhdx'));
    await expect.poll(page.allOf('.chain .name'), patience).toEqual(['child.avhdx', 'base.vhdx']);
    await expect.poll(page.textOf('#verdict'), patience).toContain('Sound');
    page.click('#save-work button');
    await expect.poll(page.textOf('#save-work'), patience).toMatch(/child\.img \(8 MiB\) was given to the browser/);
    const [saved] = downloads;
    expectSameBytes(new Uint8Array((await saved?.arrayBuffer()) ?? []), content());
  });

  test('the sample is opened, with a file system in it that was not closed', async () => {
    const page = await inspector();
    page.click('#sample');
    await expect.poll(page.textOf('#disk-name'), patience).toBe('sample.vhdx');
    await expect.poll(page.textOf('#overview-list'), patience).toMatch(/not cleanly; \d+ entr\w+ of its log/);
    await expect.poll(page.textOf('#partitions-state'), patience).toMatch(/with 1 partition/);
    await expect.poll(page.textOf('#files-state'), patience).toMatch(/^\d+ names?\./);
  });
});
