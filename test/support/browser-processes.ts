import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineBrowserProvider } from '@vitest/browser';
import { findProgram } from '../../scripts/programs.mjs';

/** How to open a page in a browser of its own, given an empty folder for all that the browser keeps. */
type Launch = (url: string, folder: string) => Promise<{ command: string; args: readonly string[] }>;

const SECOND = 1000;

function path(program: string): string {
  const found = findProgram(program);
  if (found === undefined) throw new Error(`${program} is not installed`);
  return found;
}

/** A browser that needs no driver: opening a page is starting the program, closing it is ending the program. */
function browserProcess(name: string, launch: Launch) {
  return defineBrowserProvider({
    name,
    supportedBrowser: [name],
    options: {},
    providerFactory: () => {
      const running: { child: ChildProcess; folder: string }[] = [];
      return {
        name,
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        async openPage(_session, url) {
          const folder = await mkdtemp(join(tmpdir(), `vhdx-${name}-`));
          const { command, args } = await launch(url, folder);
          // A process group of its own, because ending only the parent leaves the browser's other processes running.
          const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder };
          const child = spawn(command, args, { detached: true, stdio: 'ignore', env });
          running.push({ child, folder });
          // It is not asked to close when Vitest itself is ended by a signal.
          process.once('SIGTERM', () => process.exit(1)).once('exit', () => kill(child, 'SIGKILL'));
          await once(child, 'spawn');
        },
        async close() {
          await Promise.all(running.splice(0).map(end));
        },
      };
    },
  });
}

/** Sends a signal to a browser and to all that it started. */
function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  const isRunning = child.exitCode === null && child.signalCode === null;
  if (isRunning && child.pid !== undefined) process.kill(-child.pid, signal);
}

async function end({ child, folder }: { child: ChildProcess; folder: string }): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit');
    kill(child, 'SIGTERM');
    const impatience = setTimeout(kill, 5 * SECOND, child, 'SIGKILL');
    await gone;
    clearTimeout(impatience);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** What keeps Firefox from calling home, and from opening pages of its own in front of ours. */
const FIREFOX_PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/** Firefox, headless. */
export const firefox = () =>
  browserProcess('firefox', async (url, folder) => {
    const lines = Object.entries(FIREFOX_PREFERENCES).map(
      ([name, value]) => `user_pref('${name}', ${JSON.stringify(value)});`,
    );
    const profile = join(folder, 'profile');
    await mkdir(profile);
    await writeFile(join(profile, 'user.js'), lines.join('\n'));
    return { command: path('firefox'), args: ['--headless', '--no-remote', '--profile', profile, url] };
  });

/** WebKitGTK's own small browser, on a virtual display. */
export const webkit = () =>
  browserProcess('webkit', async (url) => ({ command: path('xvfb-run'), args: ['-a', path('MiniBrowser'), url] }));
