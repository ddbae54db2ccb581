import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright';
import { build } from 'vite';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { SLOW } from '../../support/time-limits.js';
import { tempDir, tool } from '../../support/tools.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The policy under which the page is meant to work, and one that forbids WebAssembly too. */
export const POLICY = {
  usual: "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob:",
  withoutWasm: "default-src 'self'",
} as const;

/** Something that the server of a spec answers besides the page itself. */
export type Route = (request: IncomingMessage, response: ServerResponse) => void;

/** How a spec wants the page. */
export interface PageOptions extends BrowserContextOptions {
  readonly policy?: string;
  readonly routes?: Readonly<Record<string, Route>>;
  /** What follows the page's address, such as `?url=…`. */
  readonly query?: string;
  /** Runs in the page before its own code. */
  readonly before?: () => void;
  /** Whether errors in the console are what the spec is about. */
  readonly isComplaining?: boolean;
  /** Gives the page storage on the disk, as for a person's own browser, instead of a little in memory. */
  readonly ownStorage?: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/**
 * Builds the page, once for a file of specs, and opens it in Chromium as often as they want: each time from a server
 * of its own, under a security policy.
 */
export function inspector() {
  let folder = '';
  let started: Browser | undefined;

  beforeAll(async () => {
    if (tool('chromium').missing !== undefined) return;
    folder = await mkdtemp(join(tmpdir(), 'vhdx-app-'));
    await build({
      configFile: join(root, 'vite.app.config.ts'),
      mode: 'production',
      logLevel: 'error',
      build: { outDir: folder },
    });
    started = await chromium.launch(launchOptions());
  }, SLOW.programs.timeout);
  afterAll(async () => {
    await started?.close();
    if (folder !== '') await rm(folder, { recursive: true, force: true });
  });

  return {
    /** The browser; for what Playwright does with a whole browser only. */
    get browser(): Browser {
      if (!started) throw new Error('Chromium was not started');
      return started;
    },
    /** A new page. When the spec ends, it must have reported no error of its own and no breach of its policy. */
    async open({
      policy = POLICY.usual,
      routes = {},
      query = '',
      before,
      ownStorage,
      isComplaining = false,
      ...options
    }: PageOptions = {}): Promise<Page> {
      const origin = await serve(folder, policy, routes);
      const wanted = { ...options, acceptDownloads: true };
      const context = ownStorage
        ? await chromium.launchPersistentContext(await tempDir(), { ...launchOptions(), ...wanted })
        : await this.browser.newContext(wanted);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        // What a server refuses is told by the browser too, and is no fault of the page.
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
          complaints.push(message.text());
      });
      onTestFinished(async () => {
        await context.close();
        if (!isComplaining) expect(complaints).toEqual([]);
      });
      if (before) await context.addInitScript(before);
      await page.goto(`${origin}/${query}`);
      return page;
    },
  };
}

function launchOptions() {
  const args = [
    '--no-sandbox', // root and containers have no sandbox to offer
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  return { executablePath: tool('chromium').path, args };
}

async function serve(folder: string, policy: string, routes: Readonly<Record<string, Route>>): Promise<string> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://here').pathname;
    const route = routes[path];
    response.setHeader('content-security-policy', policy);
    if (route) {
      route(request, response);
      return;
    }
    const file = join(folder, normalize(path === '/' ? '/index.html' : path));
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not here');
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
