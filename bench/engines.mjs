// @ts-check
/** The engines besides the Node that runs this: which are here, and how a script is run in them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { installRuntime, RUNTIMES } from '../scripts/runtimes.mjs';
import { LeftOut, program, root } from './harness.mjs';

const SECOND = 1000;

/**
 * @typedef {object} Engine
 * @property {string} title with its version
 * @property {(script: string, folder: string, files?: Readonly<Record<string, string>>) => Promise<string>} run runs a bundled script and returns what it reports; a page can fetch the files, paths by their names, from `/files/`
 */

/** How each engine is found and started; throws LeftOut if it is not installed. @type {Record<string, () => Engine>} */
export const ENGINES = {
  Node: () => runtime('Node', process.execPath, []),
  'Node 24': () => runtime('Node', installed(RUNTIMES['node-24']), []),
  Bun: () => runtime('Bun', installed(RUNTIMES.bun), []),
  Deno: () => runtime('Deno', installed(RUNTIMES.deno), ['run', '--no-lock']),
  Chromium: () =>
    browser('Chromium', program('chromium'), (url, folder) => [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
      ...['--disable-background-networking', '--disable-component-update', `--user-data-dir=${folder}`, url],
    ]),
  Firefox: () =>
    browser('Firefox', program('firefox'), (url, folder) => {
      writeFileSync(join(folder, 'user.js'), FIREFOX_PREFERENCES);
      return ['--headless', '--no-remote', '--profile', folder, url];
    }),
  WebKitGTK: () => {
    const [display, mini] = [program('xvfb-run'), program('MiniBrowser')];
    program('xauth');
    return browser('WebKitGTK', display, (url) => ['-a', mini, url], ['-a', mini, '--version']);
  },
};

/** What keeps Firefox from calling home while it is measured. */
const FIREFOX_PREFERENCES = `
user_pref('app.update.enabled', false);
user_pref('app.normandy.enabled', false);
user_pref('browser.aboutwelcome.enabled', false);
user_pref('browser.shell.checkDefaultBrowser', false);
user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
user_pref('toolkit.telemetry.enabled', false);
`;

/** Where a runtime is, installed if need be. @param {import('../scripts/runtimes.mjs').Runtime} wanted */
function installed(wanted) {
  const path = installRuntime(wanted);
  if (!existsSync(path)) throw new LeftOut(`${wanted.name} could not be installed`);
  return path;
}

/** @param {string} command @param {string[]} args */
function versionOf(command, args) {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return /\d+(\.\d+)+/.exec(String(stdout))?.[0] ?? '';
}

/** @param {string} title @param {string} command @param {string[]} args @returns {Engine} */
function runtime(title, command, args) {
  return {
    title: `${title} ${versionOf(command, ['--version'])}`,
    async run(script) {
      const { status, stdout, stderr } = spawnSync(command, [...args, script], { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${title}: ${stderr}`);
      return stdout;
    },
  };
}

/**
 * @param {string} title
 * @param {string} command
 * @param {(url: string, folder: string) => string[]} argsOf
 * @param {string[]} [version]
 * @returns {Engine}
 */
function browser(title, command, argsOf, version = ['--version']) {
  return {
    title: `${title} ${versionOf(command, version)}`,
    run: (script, folder, files = {}) =>
      runInPage(script, folder, files, (url, own) => spawnBrowser(command, argsOf(url, own), own)),
  };
}

/** @param {string} command @param {string[]} args @param {string} folder */
function spawnBrowser(command, args, folder) {
  const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder };
  // In a group of its own: ending only the parent leaves the browser's other processes running.
  return spawn(command, args, { detached: true, stdio: 'ignore', env });
}

/**
 * Serves a page with the script, opens it, waits for what it reports, and ends the browser.
 *
 * @param {string} script
 * @param {string} folder
 * @param {Readonly<Record<string, string>>} files
 * @param {(url: string, own: string) => import('node:child_process').ChildProcess} start
 * @returns {Promise<string>}
 */
async function runInPage(script, folder, files, start) {
  /** @type {(text: string) => void} */
  let tell = () => {};
  const told = new Promise((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    // Isolated, a page gets the finer clock.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    if (request.method === 'POST') {
      let body = '';
      request.setEncoding('utf8').on('data', (part) => (body += part));
      request.on('end', () => {
        response.end();
        tell(body);
      });
    } else if (request.url?.startsWith('/files/')) {
      createReadStream(String(files[request.url.slice('/files/'.length)])).pipe(response);
    } else if (request.url === '/script.js') {
      response.setHeader('Content-Type', 'text/javascript').end(readFileSync(script));
    } else {
      response
        .setHeader('Content-Type', 'text/html')
        .end('<!doctype html><script type="module" src="/script.js"></script>');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  mkdirSync(folder, { recursive: true });
  const own = mkdtempSync(join(folder, 'browser-'));
  const child = start(`http://127.0.0.1:${port}/`, own);
  const patience = setTimeout(tell, 150 * SECOND, JSON.stringify({ error: 'it did not report within 150 s' }));
  try {
    return await told;
  } finally {
    clearTimeout(patience);
    await end(child);
    server.closeAllConnections();
    server.close();
    rmSync(own, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @param {import('node:child_process').ChildProcess} child */
async function end(child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  process.kill(-child.pid, 'SIGTERM');
  const impatience = setTimeout(() => process.kill(-Number(child.pid), 'SIGKILL'), 5 * SECOND);
  await gone;
  clearTimeout(impatience);
}

/** Makes one file of `bench/NAME-entry.mjs` and all that it imports, which runs anywhere. @param {string} folder @param {string} name */
export async function oneFile(folder, name) {
  const { build } = await import('vite');
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: {
      outDir: join(folder, name),
      emptyOutDir: true,
      target: 'es2022',
      minify: false,
      modulePreload: false,
      rolldownOptions: {
        input: join(root, `bench/${name}-entry.mjs`),
        output: { format: 'es', codeSplitting: false, entryFileNames: `${name}.mjs` },
      },
    },
  });
  return join(folder, `${name}/${name}.mjs`);
}
