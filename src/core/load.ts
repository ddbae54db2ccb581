import { VhdxError } from '../errors.js';
import { type Core, type CoreModule, instantiateBestCore, instantiateModule } from './instance.js';

/** The one instance of this realm; all disks share it. */
let shared: Promise<Core> | undefined;

/**
 * Returns the core, starting it at the first call. A failed start is forgotten, so that the next call tries again.
 *
 * @throws VhdxError `wasm-unavailable` when it cannot be started.
 */
export function loadCore(): Promise<Core> {
  return shared ?? share(instantiateBestCore());
}

/**
 * Starts the core from a module that the caller compiled, for runtimes that refuse to compile bytes (edge workers).
 * Optional; must come before anything else of this library is used.
 *
 * @param module what `vhdx/core.wasm` compiles to
 * @throws VhdxError `wasm-unavailable` when the core runs already, or the module is not the core of this version.
 */
export async function initCore(module: CoreModule): Promise<void> {
  if (!(module instanceof WebAssembly.Module)) throw new TypeError('initCore takes a WebAssembly.Module');
  if (shared !== undefined) {
    throw new VhdxError('wasm-unavailable', 'the core runs already: call initCore once, before anything else');
  }
  await share(instantiateModule(module));
}

function share(starting: Promise<Core>): Promise<Core> {
  shared = starting;
  starting.catch(() => {
    shared = undefined;
  });
  return starting;
}
