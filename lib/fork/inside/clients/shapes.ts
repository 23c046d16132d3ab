/**
 * How objects of client libraries are known: by the methods of their class. Names of classes would not do, since
 * bundlers change them and mixins hide them (ioredis). Runs in templates.
 */
export const CLIENT_SHAPES = Object.freeze({
  mysqlPool: ['getConnection', 'releaseConnection', 'escape'],
  mysqlConnection: ['changeUser', 'beginTransaction', 'ping', 'destroy'],
  redis: ['sendCommand', 'duplicate', 'monitor', 'connect', 'disconnect'],
  redisCluster: ['sendCommand', 'nodes', 'refreshSlotsCache', 'connect', 'disconnect'],
}) satisfies Readonly<Record<string, readonly string[]>>;

export type ClientShape = keyof typeof CLIENT_SHAPES;
