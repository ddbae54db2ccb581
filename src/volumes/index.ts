export { type FileSystem, recogniseFileSystem } from './file-systems.js';
export {
  checkGptBackup,
  fixGpt,
  type GptBackup,
  type GptBackupOptions,
  type PartitionedDisk,
  type WritablePartitionedDisk,
} from './gpt-backup.js';
export type { Partition, PartitionTable } from './partition.js';
export { type PartitionTableOptions, readPartitionTable } from './partition-table.js';
