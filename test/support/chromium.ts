import { join, normalize } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { afterAll, onTestFinished } from 'vitest';
import { tool } from './tools.js';

/** The Chromium that {@link openPage} and {@link openFolder} run. */
export const chromiumProgram = tool('chromium');

/** An open page, and all errors and warnings of its console. */
export interface WatchedPage extends Page {
  readonly complaints: readonly string[];
}

let started: Promise<Browser> | undefined;

afterAll(async () => {
  const running = await started;
  started = undefined;
  await running?.close();
});

async function newPage(): Promise<{ page: WatchedPage; context: BrowserContext }> {
  started ??= chromium.launch({
    executablePath: chromiumProgram.path,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
  const context = await (await started).newContext();
  onTestFinished(() => context.close());
  const complaints: string[] = [];
  const page = Object.assign(await context.newPage(), { complaints });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  return { page, context };
}

/** Opens a URL in a real Chromium. The page ends with the running spec, the browser with the file of specs. */
export async function openPage(url: string): Promise<WatchedPage> {
  const { page } = await newPage();
  await page.goto(url);
  return page;
}

/** Opens a page of a folder in a real Chromium, as if a server had sent it from the root of a site. */
export async function openFolder(folder: string, name = 'index.html'): Promise<WatchedPage> {
  const { page, context } = await newPage();
  await context.route('https://site.test/**', async (route) => {
    const path = normalize(decodeURIComponent(new URL(route.request().url()).pathname));
    await route.fulfill({ path: join(folder, path) });
  });
  await page.goto(`https://site.test/${name}`);
  return page;
}
