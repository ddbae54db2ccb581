import { afterEach, describe, expect, it, vi } from 'vitest';
import { hex as simdModule } from '../../src/core/core-simd.generated.js';
import { initCore, loadCore } from '../../src/core/load.js';

/** An empty module: the magic number and the version. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

const coreModule = (): Promise<WebAssembly.Module> =>
  WebAssembly.compile(Uint8Array.from(simdModule.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)));

// One core serves the whole realm, so these tell one story, in this order.
describe.sequential('starting the core', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('fails where nothing runs, for all who asked', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    vi.stubGlobal('Float64Array', undefined);
    const [one, other] = await Promise.allSettled([loadCore(), loadCore()]);
    expect(one).toMatchObject({ status: 'rejected', reason: { code: 'wasm-unavailable' } });
    expect(other).toEqual(one);
  });

  it('refuses what is no module', async () => {
    // Nothing but a name tells the types apart: the compiler lets bytes pass.
    await expect(initCore(EMPTY_MODULE)).rejects.toThrow(TypeError);
  });

  it('refuses a module where there is no WebAssembly', async () => {
    const module = await coreModule();
    vi.stubGlobal('WebAssembly', undefined);
    await expect(initCore(module)).rejects.toThrow(TypeError);
  });

  it('refuses another module', async () => {
    const module = await WebAssembly.compile(EMPTY_MODULE);
    await expect(initCore(module)).rejects.toMatchObject({ code: 'wasm-unavailable' });
  });

  it('works with a module that the caller compiled, after all these failures', async () => {
    await initCore(await coreModule());
    const core = await loadCore();
    expect(core.kind).toBe('custom');
    expect(core.exports.crc32cZeros(0, 32)).toBe(0x8a9136aa);
  });

  it('happens once', async () => {
    expect(await loadCore()).toBe(await loadCore());
    await expect(initCore(await coreModule())).rejects.toMatchObject({ code: 'wasm-unavailable' });
  });
});
