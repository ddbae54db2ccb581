import { appendFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { pattern } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { STATE } from '../support/image-spec.js';
import { saveFile } from '../support/save-image.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { answerRange } from './support/answer-range.js';
import { inspector, type Route } from './support/inspector.js';
import { cellAt, expectText, legendOf, openFiles } from './support/reading.js';

const chromium = tool('chromium');

const app = inspector();

async function saved(image: BuiltImage, name = 'disk.vhdx'): Promise<string> {
  const path = join(await tempDir(), name);
  await saveFile(image, path);
  return path;
}

describe('a file that does not open', () => {
  needs(chromium).test('because it is of another format is called what it is', async () => {
    const path = join(await tempDir(), 'disk.qcow2');
    await writeFile(path, Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(4096)]));
    const page = await app.open();
    await openFiles(page, path);
    await expectText(page.locator('#alarm'), /^Not a VHDX file: this is a qcow2 image\.$/);
    await expectText(page.locator('#verdict'), 'Does not open');
    await expectText(page.locator('#findings-list'), /This is not a VHDX file, or its first bytes were overwritten/);
    await expectText(page.locator('#bytes-text'), /^00000000 {2}51 46 49 fb 00/);
    for (const panel of ['#panel-map', '#panel-partitions', '#panel-save'])
      expect(await page.locator(panel).isVisible()).toBe(false);
  });

  needs(chromium).test('because it ends in its own header says so, and still has a checksum as a file', async () => {
    const whole = buildImage().toUint8Array();
    const path = join(await tempDir(), 'cut.vhdx');
    await writeFile(path, whole.subarray(0, 300_000));
    const page = await app.open();
    await openFiles(page, path);
    await expectText(page.locator('#alarm'), /the file has 300000 bytes, its header section alone has 1048576/);
    // Its bytes are shown to the end and not further.
    await page.fill('#bytes-offset', '0x493c0');
    await page.keyboard.press('Enter');
    await expectText(page.locator('#bytes-text'), /^00049200 /);
    expect(await page.getByRole('button', { name: 'Next' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-hex'), /^[0-9a-f]{8}$/);
  });
});

describe('an image that is damaged as a whole', () => {
  needs(chromium).test('can be opened all the same, as unverified, and saved', async () => {
    const image = buildImage({ virtualSize: 4 * MiB, blocks: { 0: { state: 6, data: 1 }, 2: { state: 4 } } });
    for (const header of [64 * KiB, 128 * KiB]) image.write(header, new Uint8Array(4));
    const page = await app.open({ before: () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker') });
    await openFiles(page, await saved(image, 'disk.vhdx'));
    await expectText(page.locator('#verdict'), 'Does not open');
    await page.getByRole('button', { name: 'Open it all the same' }).click();
    await expectText(page.locator('#verdict'), 'Damaged');
    await expectText(page.locator('#findings-list'), /salvage-header/);
    await page.getByLabel('Write zeros for what cannot be read').check();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save…' }).click();
    expect((await stat(await (await download).path())).size).toBe(4 * MiB);
    await expectText(page.locator('#save-work'), /1 MiB \(1,048,576 bytes\) could not be read and became zeros/);
  });
});

describe('after something that did not open', () => {
  needs(chromium).test('nothing is left of the disk that was there before', async () => {
    const page = await app.open();
    await openFiles(page, await saved(buildImage({ type: 'differencing' }), 'child.avhdx'));
    await expectText(page.locator('#disk-name'), 'child.avhdx');
    expect(await page.locator('#more-files-label').isVisible()).toBe(true);
    await page.fill('#address-url', new URL('/nowhere.vhdx', page.url()).href);
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await expectText(page.locator('#alarm'), 'HTTP status 404');
    expect(await page.title()).toBe('VHDX inspector');
    for (const part of ['#more-files-label', '#disk', '#opening'])
      expect(await page.locator(part).isVisible()).toBe(false);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('files');
  });

  needs(chromium).test('a page whose worker does not load says so, whenever it is asked', async () => {
    const before = () => {
      const Original = Worker;
      Object.assign(globalThis, {
        Worker: class extends Original {
          constructor() {
            super('/nowhere.js', { type: 'module' });
          }
        },
      });
    };
    const page = await app.open({ before, isComplaining: true });
    const path = await saved(buildImage());
    for (let time = 0; time < 2; time++) {
      await page.setInputFiles('#files', path);
      await expectText(page.locator('#alarm'), 'The part of this page that reads images stopped');
      expect(await page.locator('#opening').isVisible()).toBe(false);
    }
  });
});

describe('a damaged disk', () => {
  needs(chromium).test('that was cut off shows which blocks are gone, and does not pass for a whole one', async () => {
    const full = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
    const path = await saved(
      buildImage({ blocks: { 0: full(0), 1: full(1), 2: full(2) }, fileSize: (end) => end - MiB }),
    );
    const page = await app.open({ before: () => Reflect.deleteProperty(globalThis, 'showSaveFilePicker') });
    await openFiles(page, path);
    await expectText(page.locator('#verdict'), 'Damaged');
    await expect.poll(() => legendOf(page)).toMatchObject({ Data: '2 MiB, 25 %', Damaged: '1 MiB, 13 %' });
    expect(await cellAt(page, 0.2, 2.4 / 8)).toMatchObject({ words: 'damaged', colours: ['damaged'] });
    const finding = page.locator('.finding', { hasText: 'bat-past-end' });
    await finding.locator('summary').click();
    await expectText(finding, /payload block 2 .* reaches past the end of the file/);
    // It leads to the part of the disk that is lost.
    await page.getByRole('button', { name: 'Show the 1 MiB of the disk at 0x200000 on the map' }).click();
    await expectText(page.locator('#map-readout'), /^0x200000 to 0x\w+ \(.*\): damaged$/);
    await page.getByRole('button', { name: 'Whole disk' }).click();
    for (const button of ['Compute', 'Save…']) await page.getByRole('button', { name: button }).click();
    await expectText(page.locator('#checksum-work'), /BAT entry 2: .* the disk cannot be read at 0x200000/);
    await expectText(page.locator('#save-work'), /BAT entry 2/);
    expect(await page.locator('#checksum-hex').textContent()).toBe('–');
  });

  needs(chromium).test('leads from a finding to the bytes that it is about', async () => {
    const image = buildImage({ regionTables: [{}, { checksum: 0xdeadbeef }] });
    const page = await app.open();
    await openFiles(page, await saved(image));
    await page.locator('.finding', { hasText: 'region-table-checksum' }).locator('summary').click();
    await page.getByRole('button', { name: 'Show the bytes of the file at 0x40000' }).click();
    await expectText(page.locator('#bytes-text'), /^00040000 {2}72 65 67 69 ef be ad de/);
  });
});

describe('a file that changes while it is open', () => {
  for (const [how, change] of [
    ['changed', (path: string) => appendFile(path, 'more')],
    ['removed', (path: string) => rm(path)],
  ] as const) {
    needs(chromium).test(`because it is ${how} is reported in one sentence`, async () => {
      const path = await saved(buildImage());
      const page = await app.open();
      await openFiles(page, path);
      await expect.poll(() => legendOf(page)).toMatchObject({ Data: '2 MiB, 25 %' });
      await change(path);
      await page.getByRole('button', { name: 'Compute' }).click();
      await expectText(
        page.locator('#checksum-work'),
        /The file disk\.vhdx was changed or removed since it was chosen; choose it again\./,
      );
      expect(await page.locator('#checksum-hex').textContent()).toBe('–');
    });
  }
});

describe('an address', () => {
  const image = buildImage();
  const file: Route = (request, response) => answerRange(request, response, image);
  const plain =
    (status: number, type: string, body: string | Buffer): Route =>
    (_: IncomingMessage, response: ServerResponse) => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };

  needs(chromium).test('is opened with a few requests for parts of it', async () => {
    let requests = 0;
    const counted: Route = (request, response) => {
      requests += 1;
      file(request, response);
    };
    const page = await app.open({ routes: { '/disks/server.vhdx': counted } });
    await page.getByLabel('Or the address of one on a server').fill('/disks/server.vhdx');
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await expectText(page.locator('#disk-name'), 'server.vhdx');
    await expectText(page.locator('#verdict'), 'Sound');
    expect(requests).toBeGreaterThan(0);
  });

  const refused: readonly (readonly [string, Route, RegExp])[] = [
    [
      'that leads nowhere',
      plain(404, 'text/plain', 'no'),
      /there is no such file on the server \(HTTP status 404\)\.$/,
    ],
    ['that is forbidden', plain(403, 'text/plain', 'no'), /the server does not permit access \(HTTP status 403\)\.$/],
    ['of a web page', plain(200, 'text/html', '<p>Sign in'), /the server sends a web page, not a disk image/],
    [
      'of a server without ranges',
      plain(200, 'application/octet-stream', Buffer.alloc(9999)),
      /whole files only \(it knows no range requests\)/,
    ],
  ];
  for (const [what, route, sentence] of refused) {
    needs(chromium).test(`${what} is refused in a sentence that says why`, async () => {
      const page = await app.open({ routes: { '/disk.vhdx': route }, query: '?url=disk.vhdx' });
      await expectText(page.locator('#alarm'), sentence);
      for (const part of ['#opening', '#disk']) expect(await page.locator(part).isVisible()).toBe(false);
    });
  }

  needs(chromium).test('on another server is refused by the page’s own policy, and the page says that', async () => {
    const page = await app.open({ query: '?url=http://localhost:9/disk.vhdx', isComplaining: true });
    await expectText(
      page.locator('#alarm'),
      /The security policy of this page does not let it fetch from http:\/\/localhost:9/,
    );
  });

  needs(chromium).test('of nothing at all is not asked for', async () => {
    const page = await app.open();
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    const message = await page.locator('#address-url').evaluate((field: HTMLInputElement) => field.validationMessage);
    expect(message).toMatch(/begins with http/);
  });

  needs(chromium).test('whose file is replaced while it is open says so', async () => {
    let current = image;
    const page = await app.open({
      routes: { '/disk.vhdx': (request, response) => answerRange(request, response, current) },
      query: '?url=disk.vhdx',
    });
    await expectText(page.locator('#verdict'), 'Sound');
    current = buildImage({
      virtualSize: 16 * MiB,
      blocks: {
        0: { state: STATE.fullyPresent, data: 1 },
        9: { state: STATE.fullyPresent, data: 2 },
        10: { state: STATE.fullyPresent, data: 3 },
      },
    });
    await page.getByRole('button', { name: 'Compute' }).click();
    await expectText(page.locator('#checksum-work'), /the file on the server was changed while in use/);
  });

  needs(chromium).test('in a link to the page opens the chain that it names', async () => {
    const { smallChain } = await import('./support/small-chain.js');
    const chain = await smallChain(await tempDir());
    const routes = Object.fromEntries(
      await Promise.all(
        [chain.base, chain.middle, chain.top].map(async (path) => {
          const bytes = await readFile(path);
          const servable = {
            size: bytes.length,
            read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
          };
          const route: Route = (request, response) => answerRange(request, response, servable);
          return [`/${path.split('/').pop()}`, route] as const;
        }),
      ),
    );
    const page = await app.open({ routes, query: '?url=base.vhdx&url=middle.avhdx&url=top.avhdx' });
    await expectText(page.locator('#disk-name'), 'top.avhdx');
    expect(await page.locator('.chain .name').allTextContents()).toEqual(['top.avhdx', 'middle.avhdx', 'base.vhdx']);
  });
});
