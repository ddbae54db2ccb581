import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright';
import { createServer } from 'vite';
import { afterAll, onTestFinished } from 'vitest';
import { tool } from './tools.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

const PAGE = `<!doctype html><input type="file"><script type="module">
  import * as blob from '/src/io/blob.ts';
  import * as http from '/src/io/http/source.ts';
  globalThis.sources = { ...blob, ...http };
</script>`;

/** What the page of {@link sourcesPage} has as `globalThis.sources`, in functions that run in the page. */
export interface PageGlobals {
  readonly sources: typeof import('../../src/io/blob.js') & typeof import('../../src/io/http/source.js');
}

/** The Chromium that {@link sourcesPage} runs. */
export const chromiumProgram = tool('chromium');

let started: ReturnType<typeof start> | undefined;

afterAll(async () => {
  const running = await started;
  started = undefined;
  await running?.browser.close();
  await running?.server.close();
});

async function start() {
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    appType: 'custom',
    server: { host: '127.0.0.1', port: 0, hmr: false, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
    plugins: [
      {
        name: 'page-with-sources',
        configureServer: ({ middlewares }) => {
          middlewares.use((request, response, next) => {
            if (request.url !== '/') return next();
            response.setHeader('content-type', 'text/html');
            response.end(PAGE);
          });
        },
      },
    ],
  });
  await server.listen();
  const browser = await chromium.launch({
    executablePath: chromiumProgram.path,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
  return { server, browser };
}

/**
 * Opens a page in a real Chromium that has a file input and the sources of this package, as its server compiled them.
 * The page ends with the running spec, the browser and the server with the file of specs.
 */
export async function sourcesPage(): Promise<Page> {
  started ??= start();
  const { server, browser } = await started;
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  await page.waitForFunction(() => 'sources' in globalThis);
  return page;
}
