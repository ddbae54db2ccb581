import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { describe, expect } from 'vitest';
import { chromiumProgram, type PageGlobals, sourcesPage } from '../support/chromium-page.js';
import { type RangeRequest, rangeServer, serveRange } from '../support/range-server.js';
import { sourceBytes } from '../support/scripted-source.js';
import { needs, tempDir } from '../support/tools.js';

const MiB = 1024 * 1024;

/** What became of reads in a page: the bytes, or the error's code and sentence. */
type Outcome = { bytes: number[] } | { code: string; message: string };

/** Opens a URL in a page and reads 10 bytes at each offset, one after the other. */
function readInPage(page: Page, url: string, offsets: readonly number[]): Promise<Outcome> {
  return page.evaluate(
    async ([address, places]) => {
      const { httpSource } = (globalThis as unknown as PageGlobals).sources;
      try {
        const source = await httpSource(address, { retries: 1, retryDelay: 1 });
        const bytes: number[] = [];
        for (const offset of places) {
          const target = new Uint8Array(10);
          await source.readInto(target, offset);
          bytes.push(...target);
        }
        await source.close?.();
        return { bytes };
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        return { code, message };
      }
    },
    [url, offsets] as const,
  );
}

describe('a page in Chromium and a server elsewhere', () => {
  const allow = { 'access-control-allow-origin': '*' };

  needs(chromiumProgram).test('that lets pages read, and see what they need to', async () => {
    const server = await rangeServer((request) =>
      serveRange(request, 64 * MiB * MiB, { ...allow, 'access-control-expose-headers': 'Content-Range, ETag' }),
    );
    const page = await sourcesPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    const offsets = [0, 2 * MiB, 40 * MiB * MiB];
    expect(await readInPage(page, server.url, offsets)).toEqual({
      bytes: offsets.flatMap((offset) => [...sourceBytes(offset, 10)]),
    });
    expect(server.requests.length).toBe(3);
    // No request of ours needs the server's consent first.
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET']);
    expect(complaints).toEqual([]);
  });

  needs(chromiumProgram).test('that redirects: the browser follows, unless a header would go along', async () => {
    const cors = {
      ...allow,
      'access-control-expose-headers': 'Content-Range, ETag',
      'access-control-allow-headers': 'x-api-key',
    };
    const answer = (go: (request: RangeRequest) => void | Promise<void>) => (request: RangeRequest) =>
      request.message.method === 'OPTIONS' ? void request.response.writeHead(204, cors).end() : go(request);
    const other = await rangeServer(answer((request) => serveRange(request, 64 * MiB, cors)));
    const server = await rangeServer(
      answer(({ response }) => void response.writeHead(302, { ...cors, location: other.url }).end()),
    );
    const page = await sourcesPage();
    expect(await readInPage(page, server.url, [0, 2 * MiB])).toEqual({
      bytes: [0, 2 * MiB].flatMap((offset) => [...sourceBytes(offset, 10)]),
    });
    expect(other.requests.length).toBe(2);
    const outcome = await page.evaluate(async (url) => {
      const { httpSource } = (globalThis as unknown as PageGlobals).sources;
      return httpSource(url, { retries: 0, headers: { 'X-Api-Key': 'k' } }).then(String, String);
    }, server.url);
    expect(outcome).toBe(
      `VhdxError: ${server.url}: the server redirects to another address, and the browser would send the headers of this request there; give the final address`,
    );
    expect(other.requests.length).toBe(2);
  });

  needs(chromiumProgram).test('that hides Content-Range from pages', async () => {
    const server = await rangeServer((request) => serveRange(request, 64 * MiB, allow));
    expect(await readInPage(await sourcesPage(), server.url, [0])).toEqual({
      code: 'read-failed',
      message: `${server.url}: the server does not let pages from elsewhere see which part of the file it sends; it should send "Access-Control-Expose-Headers: Content-Range, ETag"`,
    });
  });

  needs(chromiumProgram).test('that lets no page from elsewhere read', async () => {
    const server = await rangeServer((request) => serveRange(request, 64 * MiB));
    expect(await readInPage(await sourcesPage(), server.url, [0])).toEqual({
      code: 'read-failed',
      message: `${server.url}: the server could not be reached, or does not let pages from elsewhere read the file (CORS)`,
    });
  });

  needs(chromiumProgram).test('that goes silent', async () => {
    const server = await rangeServer(async (request) => {
      request.response.writeHead(206, {
        ...allow,
        'access-control-expose-headers': 'Content-Range',
        'content-range': `bytes ${request.from}-${request.to - 1}/${64 * MiB}`,
      });
      request.response.write(sourceBytes(request.from, 1000));
    });
    const page = await sourcesPage();
    const outcome = await page.evaluate(async (url) => {
      const { httpSource } = (globalThis as unknown as PageGlobals).sources;
      return httpSource(url, { retries: 0, timeout: 500 }).then(String, String);
    }, server.url);
    // What it says depends on whether the first bytes came before the watch began, or after.
    expect([
      `VhdxError: ${server.url}: the server has not sent anything for 0.5 seconds`,
      `VhdxError: ${server.url}: the server sent only 1000 bytes in 0.5 seconds`,
    ]).toContain(outcome);
  });

  needs(chromiumProgram).test('gives a sequence through few requests', async () => {
    const server = await rangeServer((request) =>
      serveRange(request, 64 * MiB, { ...allow, 'access-control-expose-headers': 'Content-Range, ETag' }),
    );
    const page = await sourcesPage();
    const sum = await page.evaluate(async (url) => {
      const { httpSource } = (globalThis as unknown as PageGlobals).sources;
      const source = await httpSource(url);
      let words = 0;
      const target = new Uint8Array(1024 * 1024);
      for (let offset = 0; offset < 32 * target.length; offset += target.length) {
        await source.readInto(target, offset);
        for (const word of new Uint32Array(target.buffer)) words = (words + word) % 2 ** 32;
      }
      await source.close?.();
      return words;
    }, server.url);
    const expected = new Uint32Array(sourceBytes(0, 32 * MiB).slice().buffer);
    expect(sum).toBe(expected.reduce((total, word) => (total + word) % 2 ** 32, 0));
    expect(server.requests.length).toBeLessThanOrEqual(12);
    await expect.poll(() => server.unfinished).toBe(0);
  });
});

describe('a file that was chosen in Chromium', () => {
  /** Chooses a file in a page, has something happen to it, and reads from it before and after. */
  async function readAround(happen: (path: string) => Promise<void>): Promise<string[]> {
    const path = join(await tempDir(), 'disk.vhdx');
    await writeFile(path, sourceBytes(0, 8 * MiB));
    const page = await sourcesPage();
    await page.setInputFiles('input', path);
    const source = await page.evaluateHandle(async () => {
      const { blobSource } = (globalThis as unknown as PageGlobals).sources;
      const file = document.querySelector('input')?.files?.[0];
      if (file === undefined) throw new Error('nothing was chosen');
      return blobSource(file);
    });
    const read = (offset: number): Promise<string> =>
      source.evaluate(async (opened, place) => {
        const target = new Uint8Array(10);
        return opened.readInto(target, place).then(
          () => target.join(),
          (error) => `${error.code}: ${error.message}`,
        );
      }, offset);
    const before = await read(100);
    await happen(path);
    return [before, await read(5 * MiB)];
  }

  const first = sourceBytes(100, 10).join();
  const changed = 'source-changed: the file disk.vhdx was changed or removed since it was chosen; choose it again';

  needs(chromiumProgram).test('is read', async () => {
    expect(await readAround(async () => {})).toEqual([first, sourceBytes(5 * MiB, 10).join()]);
  });

  needs(chromiumProgram).test('and changed while open', async () => {
    expect(await readAround((path) => appendFile(path, 'x'))).toEqual([first, changed]);
  });

  needs(chromiumProgram).test('and removed while open', async () => {
    expect(await readAround((path) => rm(path))).toEqual([first, changed]);
  });
});
