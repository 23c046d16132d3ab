/**
 * Serves an ioredis client (Redis or Cluster, versions 4 to 6) to function processes, whose side is
 * lib/runtime/clients/ioredis.ts. It runs in sidecars.
 *
 * Local and synchronous in the stand-in: collecting pipelines and transactions, `defineCommand`, `duplicate`, `status`,
 * `options`, `connect`, `quit`, `disconnect`, events; scan streams are made there of single calls.
 * Has a connection of its own: WATCH and `multi({ pipeline: false })` until EXEC, DISCARD or UNWATCH; blocking commands and
 * pipelines with such while they run; subscribers and monitors until they have no subscription.
 * Streams: what a subscriber or a monitor hears.
 *
 * 1. Only commands are called, by names from the client's own list, `call` among them; never other methods of the client.
 * 2. What would change the shared connection for others is refused with `CARTON_SIDECAR_SHARED_CONNECTION`.
 * 3. A connection of somebody's own is destroyed when its user is gone, or takes its call back.
 */
import { isCall, isOpen, mayBlock, nameOf, NOTHING_OPEN, openAfter, REDIS, type BatchOptions, type BatchResult, type Open, type RedisCommand, type ScriptCall } from '../../../lib/protocol/redis';
import { Held, type ServedCall, type Target } from '../../../lib/rpc/remote_objects';
import { CartonError } from '../../../lib/support/errors';
import { Connections, type Method, type RedisClient } from './ioredis/connections';
import { openFeed } from './ioredis/feed';
import { defineScript, trimScripts } from './ioredis/scripts';

/** State of a connection, which a command would leave changed. */
const CHANGES_CONNECTION = new Set([
  'select', 'auth', 'hello', 'reset', 'quit', 'monitor', 'sync', 'psync', 'replconf', 'readonly', 'readwrite', 'asking',
  'subscribe', 'psubscribe', 'ssubscribe', 'unsubscribe', 'punsubscribe', 'sunsubscribe',
]);
/** Of CLIENT, what only asks, or is about other connections. */
const CLIENT_HARMLESS = new Set(['getname', 'getredir', 'help', 'id', 'info', 'kill', 'list', 'pause', 'trackinginfo', 'unblock', 'unpause']);
/** About the writes of the connection that it comes on. */
const OF_OWN_WRITES = new Set(['wait', 'waitaof']);

export interface RedisTargetOptions {
  /** @default `LIMITS.redisConnections` */
  readonly connections?: number;
}

/** `client`: a real one, ready or not. */
export function serveRedis(client: object, { connections: limit }: RedisTargetOptions = {}): Target {
  const redis = client as RedisClient;
  const connections = new Connections(redis, limit);
  const methods = new Set(['call', 'callBuffer', ...redis.getBuiltinCommands().flatMap((name) => [name, `${name}Buffer`])]);
  return new RedisTarget(redis, { connections, methods });
}

interface Shared {
  readonly connections: Connections;
  /** That may be called. */
  readonly methods: ReadonlySet<string>;
}

type Run = (connection: RedisClient) => Promise<unknown>;

class RedisTarget implements Target {
  constructor(protected readonly connection: RedisClient, protected readonly shared: Shared) {}

  /** Throws `CARTON_RPC_BAD_VALUE`, `CARTON_RPC_NO_METHOD`, `CARTON_SIDECAR_SHARED_CONNECTION` or `CARTON_SIDECAR_TOO_MANY_CONNECTIONS`. */
  async invoke(method: string, args: readonly unknown[], call: ServedCall): Promise<unknown> {
    switch (method) {
      case REDIS.pin:
        return pinned(this.shared, call.signal);
      case REDIS.feed:
        return openFeed(this.shared.connections, { isMonitor: (args[0] as { isMonitor?: unknown } | undefined)?.isMonitor === true, signal: call.signal });
      case REDIS.batch:
        return this.#batch(args, call);
      case REDIS.several:
        return this.#several(args[0]);
      case REDIS.script:
        return this.#command(this.#checked(args), call);
      default:
        return this.#command(this.#checked([method, args]), call);
    }
  }

  /** Of what is shared: nothing ever stays open. */
  protected get open(): Open {
    return NOTHING_OPEN;
  }

  protected begin(commands: readonly RedisCommand[]): void {
    const opening = commands.find((command) => openAfter([command], NOTHING_OPEN).isWatching) ?? (isOpen(openAfter(commands, NOTHING_OPEN)) ? commands[0] : undefined);
    if (opening !== undefined) throw refused(nameOf(opening));
  }

  #command(command: RedisCommand, call: ServedCall): Promise<unknown> {
    if (OF_OWN_WRITES.has(nameOf(command)) && !isOpen(this.open)) throw refused(nameOf(command));
    const blocks = blocksIn([command], this.open);
    this.begin([command]);
    return this.#on(blocks ? call : undefined, (connection) => send(connection, command, connection));
  }

  /** What is refused of them is refused alone. */
  async #several(list: unknown): Promise<unknown> {
    if (!Array.isArray(list)) throw badValue('a list of commands');
    const results: unknown[] = [];
    const sent: (readonly [place: number, command: RedisCommand])[] = [];
    for (const [place, each] of list.entries()) {
      try {
        const command = this.#checked(each);
        if (mayBlock(command)) throw refused(nameOf(command));
        this.begin([command]);
        sent.push([place, command]);
      } catch (error) {
        results[place] = [error];
      }
    }
    const { results: replies } = await pipeline(this.connection, sent.map(([, command]) => command));
    for (const [at, [place]] of sent.entries()) results[place] = (replies as readonly unknown[])[at];
    return results;
  }

  #batch([list, options]: readonly unknown[], call: ServedCall): Promise<unknown> {
    const { isTransaction, heard } = (options ?? {}) as Partial<BatchOptions>;
    if (!Array.isArray(list)) throw badValue('a list of commands');
    // The client adds what begins and ends a transaction.
    const commands = list.map((command) => this.#checked(command));
    const whole: RedisCommand[] = isTransaction === true ? [...commands, ['exec', []]] : commands;
    if (!isBalanced(whole) || (isTransaction === true && commands[0]?.[0] !== 'multi')) throw badValue('an EXEC for each MULTI');
    const blocks = blocksIn(whole, this.open);
    this.begin(whole);
    return this.#on(blocks ? call : undefined, (connection) => (isTransaction === true ? transact(connection, commands.slice(1), heard ?? []) : pipeline(connection, commands)));
  }

  /** `blocking`: on a connection of its own, which ends with the call. */
  async #on(blocking: ServedCall | undefined, run: Run): Promise<unknown> {
    if (blocking === undefined) return run(this.connection);
    const { connections } = this.shared;
    const { signal } = blocking;
    const connection = await connections.take(signal);
    const destroy = (): void => connection.disconnect();
    if (signal.aborted) destroy();
    signal.addEventListener('abort', destroy);
    try {
      return await run(connection);
    } finally {
      signal.removeEventListener('abort', destroy);
      if (!signal.aborted) connections.give(connection);
    }
  }

  #checked(command: unknown): RedisCommand {
    const [method, args] = command as readonly [unknown, unknown];
    if (!Array.isArray(args) || args.some((arg) => typeof arg === 'function')) throw badValue('arguments that are data');
    const flat: unknown[] = args.flat();
    if (typeof method === 'object' && typeof (method as Partial<ScriptCall> | null)?.lua === 'string') return [method as ScriptCall, flat];
    if (typeof method !== 'string' || !this.shared.methods.has(method)) throw new CartonError('CARTON_RPC_NO_METHOD', { got: String(method).slice(0, 100) });
    if (isCall(method) && typeof flat[0] !== 'string') throw badValue('the name of a command');
    const checked: RedisCommand = [method, flat];
    const name = nameOf(checked);
    const subcommand = String(flat[isCall(method) ? 1 : 0]).toLowerCase();
    if (CHANGES_CONNECTION.has(name) || (name === 'client' && !CLIENT_HARMLESS.has(subcommand))) throw refused(name === 'client' ? `${name} ${subcommand}` : name);
    return checked;
  }
}

/** On a connection that one stand-in has for itself. */
class PinnedTarget extends RedisTarget {
  #open: Open = NOTHING_OPEN;
  readonly held: Held;

  constructor(connection: RedisClient, shared: Shared) {
    super(connection, shared);
    const end = (): void => this.held.end();
    this.held = new Held(this, undefined, () => {
      connection.removeListener('end', end);
      if (isOpen(this.#open)) connection.disconnect();
      else shared.connections.give(connection);
    });
    connection.once('end', end);
  }

  protected override get open(): Open {
    return this.#open;
  }

  protected override begin(commands: readonly RedisCommand[]): void {
    this.#open = openAfter(commands, this.#open);
  }
}

async function pinned(shared: Shared, signal: AbortSignal): Promise<Held> {
  return new PinnedTarget(await shared.connections.take(signal), shared).held;
}

/** To the client itself, or to a pipeline of it. */
function send(client: RedisClient, [method, args]: RedisCommand, to: object, ...callback: Method[]): Promise<unknown> {
  if (method === 'multi' && to === client) return client.multi({ pipeline: false });
  const name = typeof method === 'string' ? method : defineScript(client, method);
  const sent = (to as Record<string, Method>)[name]?.(...args, ...callback);
  if (to === client) trimScripts(client);
  return sent as Promise<unknown>;
}

/** Scripts are defined before the pipeline is made, which takes over what is defined then. */
function prepared(client: RedisClient, commands: readonly RedisCommand[]): void {
  for (const [method] of commands) if (typeof method === 'object') defineScript(client, method);
}

async function pipeline(client: RedisClient, commands: readonly RedisCommand[]): Promise<BatchResult> {
  prepared(client, commands);
  const batch = client.pipeline();
  for (const command of commands) void send(client, command, batch);
  trimScripts(client);
  return { results: await batch.exec(), heard: [] };
}

async function transact(client: RedisClient, commands: readonly RedisCommand[], wanted: readonly number[]): Promise<BatchResult> {
  prepared(client, commands);
  const batch = client.multi();
  const heard: (readonly [number, unknown, unknown])[] = [];
  commands.forEach((command, at) => {
    // The first place is MULTI's.
    const place = at + 1;
    const callback: Method[] = wanted.includes(place) ? [(error, reply) => heard.push([place, error, reply])] : [];
    void send(client, command, batch, ...callback);
  });
  trimScripts(client);
  try {
    return { results: await batch.exec(), heard };
  } catch (error) {
    return { error, heard };
  }
}

/** Whether each inner transaction ends: a pipeline would take its own sending for the end of one that does not. */
function isBalanced(commands: readonly RedisCommand[]): boolean {
  let begun = 0;
  for (const [method] of commands) {
    if (method === 'multi') begun += 1;
    if (method === 'exec' || method === 'execBuffer') begun -= 1;
    if (begun < 0) return false;
  }
  return begun === 0;
}

function blocksIn(commands: readonly RedisCommand[], open: Open): boolean {
  let at = open;
  return commands.some((command) => {
    const blocks = !at.isQueueing && mayBlock(command);
    at = openAfter([command], at);
    return blocks;
  });
}

function refused(name: string): CartonError {
  return new CartonError('CARTON_SIDECAR_SHARED_CONNECTION', { of: name.slice(0, 100).toUpperCase() });
}

function badValue(expected: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_VALUE', { expected, got: 'something else' });
}
