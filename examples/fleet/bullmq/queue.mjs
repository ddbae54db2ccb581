import { Redis } from 'ioredis';

/** The queue of the parts. */
export const PART = 'vhdx-part';

/** The queue of what puts parts together. */
export const COMBINE = 'vhdx-combine';

/** A connection to the server of the queues, as BullMQ wants it: it waits for a server that is away. */
export const connect = () =>
  new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { maxRetriesPerRequest: null });
