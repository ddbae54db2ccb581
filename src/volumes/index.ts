export type { DirectoryEntry, FileKind, FilePlace, FileStat, FileSystem, VolumeRange } from './file-system.js';
export { type FileSystemKind, recogniseFileSystem } from './file-systems.js';
export {
  checkGptBackup,
  fixGpt,
  type GptBackup,
  type GptBackupOptions,
  type PartitionedDisk,
  type WritablePartitionedDisk,
} from './gpt-backup.js';
export { canOpenVolume, openVolume } from './open-volume.js';
export type { Partition, PartitionTable } from './partition.js';
export { type PartitionTableOptions, readPartitionTable } from './partition-table.js';
export { type WalkedFile, type WalkOptions, walkFiles } from './walk.js';
