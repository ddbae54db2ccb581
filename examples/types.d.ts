// It has no types of its own.
declare module 'ext2fs';
