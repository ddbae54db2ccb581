// Paths of parents as they are understood on Windows; looked at without a Windows.
import { posix, win32 } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parentPaths } from '../../src/disk/parents/paths.js';

const child = 'C:\\VMs\\web\\child.avhdx';
const placesOf = (locator: Record<string, string>) =>
  parentPaths(locator, child, win32).map(({ key, path, refused }) => [key, path, refused]);

describe('on Windows', () => {
  test('rule 107: relative paths start from the folder of the child', () => {
    expect(placesOf({ relative_path: '..\\base.vhdx' })[0]).toEqual(['relative_path', 'C:\\VMs\\base.vhdx', undefined]);
    expect(placesOf({ relative_path: '.\\base.vhdx' })).toEqual([
      ['relative_path', 'C:\\VMs\\web\\base.vhdx', undefined],
    ]);
  });

  test('rule 107: drives and volumes are absolute, and come in their order', () => {
    const volume = '\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\VMs\\base.vhdx';
    const locator = { absolute_win32_path: 'D:\\VMs\\base.vhdx', volume_path: volume, relative_path: 'x.vhdx' };
    expect(placesOf(locator)).toEqual([
      ['relative_path', 'C:\\VMs\\web\\x.vhdx', undefined],
      ['volume_path', volume, undefined],
      ['absolute_win32_path', 'D:\\VMs\\base.vhdx', undefined],
      ['same folder', 'C:\\VMs\\web\\base.vhdx', undefined],
    ]);
  });

  for (const path of [
    '\\\\server\\share\\base.vhdx',
    '//server/share/base.vhdx',
    '\\/server/share/base.vhdx',
    '\\\\?\\UNC\\server\\share\\base.vhdx',
    '\\\\?\\unc\\server\\share\\base.vhdx',
    '\\\\.\\UNC\\server\\share\\base.vhdx',
    '\\\\?/UNC/server/share/base.vhdx',
    '\\\\?\\GLOBALROOT\\Device\\Mup\\server\\share\\base.vhdx',
    '\\\\?\\GLOBALROOT\\??\\UNC\\server\\share\\base.vhdx',
    '\\??\\UNC\\server\\share\\base.vhdx',
  ]) {
    test(`rule 107b: ${path} is a network or device path`, () => {
      for (const key of ['relative_path', 'volume_path', 'absolute_win32_path']) {
        const [first] = parentPaths({ [key]: path }, child, win32);
        expect(first).toMatchObject({ key, text: path, refused: 'network or device path' });
      }
    });
  }
});

test('on other systems a path of Windows leads nowhere', () => {
  for (const path of ['D:\\VMs\\base.vhdx', '\\\\?\\Volume{26a21bda}\\base.vhdx', '\\\\?\\D:\\base.vhdx']) {
    expect(parentPaths({ absolute_win32_path: path }, '/vm/child.avhdx', posix)).toEqual([
      { key: 'absolute_win32_path', text: path, refused: 'no such place on this system' },
      { key: 'same folder', text: 'base.vhdx', path: '/vm/base.vhdx' },
    ]);
  }
});
