import { describe, expect, test } from 'vitest';
import { openVhdx, VhdxError } from '../src/index.js';

describe('an error', () => {
  test('about the file is about the format', async () => {
    const error = await openVhdx(new Uint8Array(1024)).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'file-signature', isAboutFormat: true });
  });

  test('about what was handed over, or about reading it, is not', async () => {
    const input = (reason: VhdxError) => ({ size: 4096, readInto: () => Promise.reject(reason) });
    for (const code of ['read-failed', 'short-read', 'source-changed', 'closed', 'unsupported-input'] as const) {
      const error = await openVhdx(input(new VhdxError(code, 'no'))).catch((reason) => reason);
      expect(error).toMatchObject({ code, isAboutFormat: false });
    }
  });
});
