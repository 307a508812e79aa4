// What worker and producer share.

import { Redis } from 'ioredis';

export const QUEUE = 'orders';

/** A connection to the broker. */
export const connection = (options = {}) => new Redis({ path: process.env.PEER_REDIS_SOCKET, ...options });
