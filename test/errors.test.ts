import { describe, expect, test } from 'vitest';
import { inParent } from '../src/disk/chain-member.js';
import { FOLLOW_PARENTS, NAME_PARENT } from '../src/disk/parents/errors.js';
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

  test('keeps its reason, what was tried and the advice apart, and has all of them in its message', () => {
    const error = new VhdxError('parent-missing', 'the parent was not found', {
      file: 'middle.avhdx',
      attempts: ['relative_path .\\base.vhdx: no such file', 'same folder base.vhdx: no such file'],
      advice: [NAME_PARENT, FOLLOW_PARENTS],
    });
    expect(error.reason).toBe('the parent was not found');
    expect(error.hints).toEqual(['parent', 'follow-parents']);
    expect(error.message.split('\n')).toEqual([
      expect.stringMatching(/^middle.avhdx: the parent was not found; .*option parent; followParents: 'anywhere'/),
      '  relative_path .\\base.vhdx: no such file',
      '  same folder base.vhdx: no such file',
    ]);
    const { message } = new VhdxError('parent-missing', 'not found', {
      attempts: ['x: no such file'],
      advice: [NAME_PARENT],
    });
    expect(message).toMatch(/^not found \(x: no such file\); .*option parent$/);
  });

  test('holds no control character of a text that came from outside, and no text without an end', () => {
    const text = `a\u001b[2Jb\nvhdx: forged\u202e${'x'.repeat(5_000_000)}`;
    const error = new VhdxError('parent-missing', text, { file: text, attempts: [text, text] });
    expect(error.message).not.toContain('\u001b');
    expect(error.message).not.toContain('\u202e');
    expect(error.message.split('\n')).toHaveLength(3);
    expect(error.message.length).toBeLessThan(10_000);
    expect(error.reason).toContain('a\\u001b[2Jb\\u000avhdx: forged\\u202ex');
  });

  test('that a child met in its parent names the parent, however far down', () => {
    const error = new VhdxError('bat-past-end', 'BAT entry 3: reaches past the end of the file');
    const above = inParent(inParent(error, { name: 'base.vhdx', path: '/vm/base.vhdx' }), { name: 'middle.avhdx' });
    expect(above).toMatchObject({
      file: 'base.vhdx',
      path: '/vm/base.vhdx',
      depth: 2,
      reason: error.reason,
      cause: error,
    });
    expect(above.message).toBe('base.vhdx: BAT entry 3: reaches past the end of the file');
  });
});
