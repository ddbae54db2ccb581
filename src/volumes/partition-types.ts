/** Types of GPT partitions: UEFI's own, then those that Microsoft, the Discoverable Partitions Specification and others define. */
const GPT_TYPES: Readonly<Record<string, string>> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'EFI system',
  '024dee41-33e7-11d3-9d69-0008c781f39f': 'MBR inside',
  '21686148-6449-6e6f-744e-656564454649': 'BIOS boot',
  'e3c9e316-0b5c-4db8-817d-f92df00215ae': 'Microsoft reserved',
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 'Basic data',
  'de94bba4-06d1-4d40-a16a-bfd50179d6ac': 'Windows recovery',
  '5808c8aa-7e8f-42e0-85d2-e1e90434cfb3': 'Dynamic disk metadata',
  'af9b60a0-1431-4f62-bc68-3311714a69ad': 'Dynamic disk data',
  'e75caf8f-f680-4cee-afa3-b001e56efc2d': 'Storage Spaces',
  '558d43c5-a1ac-43c0-aac8-d1472b2923d1': 'Storage replica',
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'Linux file system',
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'Linux swap',
  'e6d6d379-f507-44c2-a23c-238f2a3df928': 'Linux LVM',
  'a19d880f-05fc-4d3b-a006-743f0f84911e': 'Linux RAID',
  'ca7d7ccb-63ed-4c53-861c-1742536059cc': 'Linux LUKS',
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915': 'Linux home',
  '3b8f8425-20e0-4f3b-907f-1a25a76f98e8': 'Linux server data',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'Linux root (x86-64)',
  'b921b045-1df0-41c3-af44-4c6f280d3fae': 'Linux root (ARM 64)',
  '44479540-f297-41b2-9af7-d131d5f0458a': 'Linux root (x86)',
  'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'Linux extended boot',
  '9e1a2d38-c612-4316-aa26-8b49521e5a8b': 'PowerPC PReP boot',
  '48465300-0000-11aa-aa11-00306543ecac': 'Apple HFS+',
  '7c3457ef-0000-11aa-aa11-00306543ecac': 'Apple APFS',
  '516e7cb4-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD data',
  '516e7cb6-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD UFS',
  '516e7cba-6ecf-11d6-8ff8-00022d09712b': 'FreeBSD ZFS',
  '6a898cc3-1dd2-11b2-99a6-080020736631': 'ZFS',
};

/** Types of MBR partitions that are still in use. */
const MBR_TYPES: Readonly<Record<number, string>> = {
  1: 'FAT12',
  4: 'FAT16, small',
  5: 'Extended',
  6: 'FAT16',
  7: 'NTFS or exFAT',
  11: 'FAT32',
  12: 'FAT32 (LBA)',
  14: 'FAT16 (LBA)',
  15: 'Extended (LBA)',
  17: 'FAT12, hidden',
  20: 'FAT16, small, hidden',
  22: 'FAT16, hidden',
  23: 'NTFS, hidden',
  27: 'FAT32, hidden',
  28: 'FAT32 (LBA), hidden',
  30: 'FAT16 (LBA), hidden',
  39: 'Windows recovery',
  66: 'Dynamic disk',
  130: 'Linux swap',
  131: 'Linux file system',
  133: 'Extended (Linux)',
  142: 'Linux LVM',
  165: 'FreeBSD',
  175: 'Apple HFS+',
  191: 'Solaris',
  238: 'GPT protection',
  239: 'EFI system',
  253: 'Linux RAID',
};

/** What a type of GPT partition is for; undefined if it is not in the list. */
export function gptTypeName(guid: string): string | undefined {
  return GPT_TYPES[guid];
}

/** What a type of MBR partition is for; undefined if it is not in the list. */
export function mbrTypeName(type: number): string | undefined {
  return MBR_TYPES[type];
}
