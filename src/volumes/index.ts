export { type FileSystem, recogniseFileSystem } from './file-systems.js';
export type { Partition, PartitionTable } from './partition.js';
export { type PartitionTableOptions, readPartitionTable } from './partition-table.js';
