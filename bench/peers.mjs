// @ts-check
/** The packages that we are compared with: installed here, into bench/node_modules, and nowhere else. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);

/** @param {...string} args */
function npm(...args) {
  return spawnSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Installs them, unless that was done. Throws if the registry cannot be reached. */
export function installPeers() {
  const installed = `${folder}node_modules/.package-lock.json`;
  const isCurrent =
    existsSync(installed) && statSync(installed).mtimeMs > statSync(`${folder}package-lock.json`).mtimeMs;
  if (isCurrent) return;
  console.log('installing the peers into bench/node_modules');
  // One of them is built from source: apart from the others, because it may fail.
  const { status, stderr } = npm('ci', '--ignore-scripts', '--loglevel', 'error');
  if (status !== 0) throw new Error(`npm ci in bench: ${stderr}`);
  npm('rebuild', 'sse4_crc32', '--loglevel', 'error');
}

/** A peer, or why it is not there. @param {string} name @returns {{ peer?: any, missing?: string }} */
export function loadPeer(name) {
  try {
    return { peer: require(name) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { missing: `${name} (${name === 'sse4_crc32' ? 'did not build here: ' : ''}${reason})` };
  }
}

/** Names and versions, as package.json pins them. @returns {Record<string, string>} */
export const peerVersions = () => JSON.parse(readFileSync(`${folder}package.json`, 'utf8')).dependencies;
