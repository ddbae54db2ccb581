export type { DirectoryEntry, FileKind, FilePlace, FileStat, FileSystem, VolumeRange } from './file-system.js';
export { freeRanges } from './free-ranges.js';
export {
  checkGptBackup,
  fixGpt,
  type GptBackup,
  type GptBackupOptions,
  type PartitionedDisk,
  type WritablePartitionedDisk,
} from './gpt-backup.js';
export { identifyVolume } from './identify-volume.js';
export { canOpenVolume, openVolume } from './open-volume.js';
export type { Partition, PartitionTable } from './partition.js';
export { type PartitionTableOptions, readPartitionTable } from './partition-table.js';
export type { VolumeIdentity } from './volume-kinds.js';
export { isAboutOneFile, type WalkedFile, type WalkOptions, walkFiles } from './walk.js';
