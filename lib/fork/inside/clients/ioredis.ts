/**
 * Clients of ioredis, for single servers and clusters: disconnected in the template as if the server had closed the
 * connection, and connected again in each fork, with their database and subscriptions. Runs in templates and their forks.
 *
 * In between a client is in the state in which `lazyConnect` leaves it: its first command connects it, and whatever is
 * asked of it meanwhile waits in its queue. So a thousand idle forks hold no connection, and the order of hooks does not
 * matter. Only clients with subscriptions connect at once.
 */
import type { Socket } from 'node:net';
import { onCheckpoint } from '../hooks';
import type { Origins } from '../origins';
import { comesTrue, type Client } from './client';

/** What clients for a server and for a cluster have in common. */
interface Reconnecting {
  status: string;
  reconnectTimeout: NodeJS.Timeout | null;
  connect(): Promise<void>;
  disconnect(reconnect: boolean): void;
}

interface Redis extends Reconnecting {
  readonly mode?: string;
  readonly stream?: Socket;
  readonly commandQueue: { readonly length: number };
  readonly condition: { readonly select?: number } | null;
  readonly options: { retryStrategy?: unknown; db?: number };
}

interface Cluster extends Reconnecting {
  readonly options: { clusterRetryStrategy?: unknown };
  /** It has a connection of its own for subscriptions. */
  readonly subscriber?: { getInstance?(): Redis | null };
  nodes(role: 'all'): Redis[];
}

/** Far longer than a template is between its checkpoint and its first fork; the timer is taken away at once. */
const NO_RETRY_MS = 0x3fffffff;

/** Disconnected by this file, in this process or a template above it. */
const suspended = { clients: new Set<Redis>(), clusters: new Set<Cluster>() };
/** Those of them that wait for messages. */
const listening = new Set<Reconnecting>();

export const ioredis: Client = {
  async close(origins) {
    const clusters = origins.instances('redisCluster') as Cluster[];
    const before = suspended.clients.size + suspended.clusters.size;
    await suspendAll(clusters, () => clientsOf(origins, clusters));
    if (before === 0 && suspended.clients.size + suspended.clusters.size > 0) onCheckpoint({ beforeCheckpoint: suspendAgain, afterRestore: resume });
  },
  describe(origins, socket) {
    const client = (origins.instances('redis') as Redis[]).find(({ stream }) => stream === socket);
    if (client === undefined) return undefined;
    if ((origins.instances('redisCluster') as Cluster[]).some((cluster) => connectionsOf(cluster).includes(client))) return 'of an ioredis cluster, in use';
    return client.mode === 'monitor' ? 'of an ioredis client that monitors' : `of an ioredis client, with commands under way: ${client.commandQueue.length}`;
  },
};

/** Those for a single server: a cluster would give up nodes that disconnect. */
function clientsOf(origins: Origins, clusters: readonly Cluster[]): Redis[] {
  const taken = clusters.flatMap(connectionsOf);
  return (origins.instances('redis') as Redis[]).filter((client) => 'commandQueue' in client && !taken.includes(client));
}

function connectionsOf(cluster: Cluster): Redis[] {
  return [...cluster.nodes('all'), cluster.subscriber?.getInstance?.() ?? []].flat();
}

/** Clusters first: what is left of their connections then is nobody's but theirs. */
async function suspendAll(clusters: readonly Cluster[], clients: () => readonly Redis[]): Promise<void> {
  await Promise.all(clusters.map(suspendCluster));
  await Promise.all(clients().map(suspendClient));
}

async function suspendClient(client: Redis): Promise<void> {
  const isIdle = (): boolean => client.status === 'ready' && client.commandQueue.length === 0;
  const isListening = client.mode === 'subscriber';
  if (client.mode === 'monitor' || !await suspend(client, isIdle, 'retryStrategy')) return;
  if (isListening) listening.add(client);
  suspended.clients.add(client);
  selectAtOnce(client);
}

async function suspendCluster(cluster: Cluster): Promise<void> {
  const isIdle = (): boolean => cluster.status === 'ready' && cluster.nodes('all').every(({ commandQueue }) => commandQueue.length === 0);
  const isListening = cluster.subscriber?.getInstance?.()?.mode === 'subscriber';
  if (!await suspend(cluster, isIdle, 'clusterRetryStrategy')) return;
  suspended.clusters.add(cluster);
  if (isListening) listening.add(cluster);
}

/** False for one that is in use, or was not connected anyway. */
async function suspend<Strategy extends string>(client: Reconnecting & { readonly options: { [key in Strategy]?: unknown } }, isIdle: () => boolean, strategy: Strategy): Promise<boolean> {
  if (!['connecting', 'connect', 'ready'].includes(client.status) || !await comesTrue(isIdle)) return false;
  const { options } = client;
  const original = options[strategy];
  // It shall count as a lost connection, which applications know to be followed by another one, not as the end.
  options[strategy] = () => NO_RETRY_MS;
  client.disconnect(true);
  const isClosed = await comesTrue(() => client.status === 'reconnecting');
  options[strategy] = original;
  if (!isClosed) return false;
  if (client.reconnectTimeout !== null) clearTimeout(client.reconnectTimeout);
  client.reconnectTimeout = null;
  client.status = 'wait';
  return true;
}

/**
 * ioredis selects the former database once it is ready again, and sends to the one of its options what was asked of it
 * between `connect` and then. So the next connection begins with the former one; later ones and duplicates do not.
 */
function selectAtOnce(client: Redis): void {
  const { options, condition } = client;
  const own: PropertyDescriptor | undefined = Object.getOwnPropertyDescriptor(client, 'connect');
  const selected = condition?.select ?? options.db;
  client.connect = (...args: []) => {
    if (own === undefined) Reflect.deleteProperty(client, 'connect');
    else Object.defineProperty(client, 'connect', own);
    const { db } = options;
    options.db = selected;
    try {
      // It reads its options before it waits for anything.
      return client.connect(...args);
    } finally {
      options.db = db;
    }
  };
}

/** In a template that was forked from the one that disconnected them. */
async function suspendAgain(): Promise<void> {
  await suspendAll([...suspended.clusters], () => [...suspended.clients]);
}

/** Does not wait: a fork is up before its connections are. */
function resume(): void {
  for (const client of listening) {
    if (client.status !== 'wait') continue;
    // It tells of failures by its events, and tries again as it is told to by its options.
    client.connect().catch(() => undefined);
  }
}
