// @ts-check
// Builds dist from nothing, so that no file of an earlier build can slip into the package.
import { spawnSync } from 'node:child_process';
import { chmod, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);

await rm(new URL('dist/', root), { recursive: true, force: true });
await import('./build-core.mjs');

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const project = fileURLToPath(new URL('tsconfig.build.json', root));
const { status } = spawnSync(process.execPath, [tsc, '--project', project], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

await chmod(new URL('dist/cli/main.js', root), 0o755);
