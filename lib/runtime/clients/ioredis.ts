/**
 * What stands in an instance for an ioredis client (Redis or Cluster) that a sidecar holds: every command is one remote
 * call, and what the real client makes of arguments, keys and replies it makes there. Runs in instances, without ioredis.
 *
 * 1. Nothing that is done here changes the shared connection for others: what would is refused by the sidecar
 *    (plugin-sidecar/lib/clients/ioredis.ts), or gets a connection of its own.
 * 2. Commands that are called one after the other arrive in that order, whether or not somebody waits for them; commands
 *    that block hold nothing up.
 * 3. Nothing is sent twice but subscriptions.
 */
import { EventEmitter, setMaxListeners } from 'node:events';
import type { CallOptions } from '../../rpc/remote_call';
import { mayBlock, nameOf, REDIS, type BatchOptions, type BatchResult, type RedisCommand } from '../../protocol/redis';
import { CartonError } from '../../support/errors';
import type { ClientLine, MakeStandIn } from './client_line';
import { addCommand, addCommands, addScript, commandNames, nodeify, RUN, type Callback, type Commander, type ScriptDefinition } from './ioredis/commander';
import { Batch } from './ioredis/batch';
import { Feed, isSubscription } from './ioredis/feed';
import { Gathering } from './ioredis/gathering';
import { isLarge, Order } from './ioredis/order';
import { Pin } from './ioredis/pin';
import { SCANS, ScanStream, type ScanOptions } from './ioredis/scan_stream';

/** Milliseconds for a command that ends by its own timeout, or never: the longest timer there is. */
const NO_DEADLINE_MS = 2 ** 31 - 1;

/** Options of a duplicate that would need a connection of its own. */
const OTHER_CONNECTION = ['host', 'port', 'path', 'family', 'db', 'username', 'password', 'keyPrefix', 'nodes', 'sentinels', 'name', 'role', 'tls', 'readOnly', 'stringNumbers'];

type Config = Readonly<Record<string, unknown>>;
type BatchCommands = Parameters<Batch['addBatch']>[0];
type Duplicate = { new (line: ClientLine, config: Config): StandIn; readonly Batch: typeof Batch; readonly names: readonly string[] | undefined };

abstract class StandIn extends EventEmitter implements Commander {
  status = 'ready';
  readonly options: Record<string, unknown>;
  readonly isCluster: boolean;
  readonly #line: ClientLine;
  readonly #order = new Order();
  readonly #feed: Feed;
  readonly #gathering: Gathering;
  /** What was defined, for pipelines: they have the same. */
  readonly #definitions: ((to: object) => void)[] = [];
  #pin: Pin | undefined;
  /** Of what blocks. */
  #blocking: AbortController | undefined;

  constructor(line: ClientLine, config: Config) {
    super();
    this.#line = line;
    this.options = { ...config };
    this.isCluster = config['cluster'] === true;
    const call = (method: string, args: readonly unknown[]): Promise<unknown> => this.#order.in(() => this.#line.call(method, args));
    this.#gathering = new Gathering((commands) => call(REDIS.several, [commands]), (command) => call(...callOf(command)));
    this.#feed = new Feed(line, (event, ...args) => this.#tell(event, args));
    for (const [name, script] of Object.entries((config['scripts'] ?? {}) as Record<string, ScriptDefinition>)) this.defineCommand(name, script);
    this.#announce();
  }

  [RUN](command: RedisCommand, callback: Callback | undefined): Promise<unknown> {
    return nodeify(this.#run(command), callback);
  }

  get #class(): Duplicate {
    return (Object.getPrototypeOf(this) as { constructor: unknown }).constructor as Duplicate;
  }

  pipeline(commands?: BatchCommands): Batch {
    return this.#batch({ isTransaction: false }, commands);
  }

  multi(commands?: BatchCommands | { pipeline?: boolean }, options?: { pipeline?: boolean }): unknown {
    const [list, { pipeline = true } = {}] = Array.isArray(commands) ? [commands, options] : [undefined, (commands as { pipeline?: boolean } | undefined) ?? options];
    return pipeline ? this.#batch({ isTransaction: true }, list) : this[RUN](['multi', []], undefined);
  }

  defineCommand(name: string, definition: ScriptDefinition): void {
    this.#define((to) => addScript(to, name, definition));
  }

  addBuiltinCommand(name: string): void {
    this.#define((to) => addCommand(to, name));
  }

  getBuiltinCommands(): string[] {
    return [...(this.#class.names ?? [])];
  }

  /** Another stand-in for the same client. Throws `CARTON_SIDECAR_SHARED_CONNECTION` where it was to connect elsewhere. */
  duplicate(override: unknown = {}, ofCluster?: Config): StandIn {
    const changed = { ...((Array.isArray(override) ? {} : override) as Config), ...ofCluster };
    const other = OTHER_CONNECTION.find((key) => key in changed && changed[key] !== this.options[key]);
    if (other !== undefined) throw new CartonError('CARTON_SIDECAR_SHARED_CONNECTION', { of: `duplicate with another ${other}` });
    return new this.#class(this.#line, { ...this.options, ...changed });
  }

  monitor(callback?: Callback): Promise<StandIn> {
    const monitor = this.duplicate();
    return nodeify(monitor.#feed.monitor().then(() => monitor), callback);
  }

  connect(callback?: Callback): Promise<void> {
    this.status = 'ready';
    return nodeify(Promise.resolve(), callback);
  }

  quit(callback?: Callback): Promise<string> {
    this.disconnect();
    return nodeify(Promise.resolve('OK'), callback);
  }

  /** Ends what this one has for itself; the client lives on. */
  disconnect(): void {
    if (this.status === 'end') return;
    this.#gathering.flush();
    this.status = 'end';
    this.#pin?.end();
    this.#pin = undefined;
    this.#feed.close();
    this.#blocking?.abort(connectionClosed());
    this.#blocking = undefined;
    process.nextTick(() => {
      this.emit('close');
      this.emit('end');
    });
  }

  end(): void {
    this.disconnect();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Redis { status: '${this.status}' } (in the sidecar)`;
  }

  #define(add: (to: object) => void): void {
    this.#definitions.push(add);
    add(this);
  }

  #batch(kind: { readonly isTransaction: boolean }, commands: BatchCommands | undefined): Batch {
    const batch = new this.#class.Batch((all, options) => this.#sendBatch(all, options), kind);
    for (const add of this.#definitions) add(batch);
    return Array.isArray(commands) ? batch.addBatch(commands) : batch;
  }

  #run(command: RedisCommand): Promise<unknown> {
    const [, args] = command;
    const name = nameOf(command);
    if (isSubscription(name) && this.status !== 'end') return this.#feed.change(name, args);
    if (this.#isSimple(command)) return this.#gathering.add(command);
    return this.#send([command], callOf(command));
  }

  /** Needs nothing of its own, and is small. */
  #isSimple(command: RedisCommand): boolean {
    return this.status !== 'end' && this.#pin === undefined && !mayBlock(command) && !Pin.isFor([command]) && !isLarge(command[1]);
  }

  #sendBatch(commands: readonly RedisCommand[], options: BatchOptions): Promise<BatchResult> {
    const whole: readonly RedisCommand[] = options.isTransaction ? [...commands, ['exec', []]] : commands;
    return this.#send(whole, [REDIS.batch, [commands, options]]) as Promise<BatchResult>;
  }

  /** `commands`: what the call does. */
  #send(commands: readonly RedisCommand[], [method, args]: readonly [method: string, args: readonly unknown[]]): Promise<unknown> {
    if (this.status === 'end') return Promise.reject(connectionClosed());
    this.#gathering.flush();
    const options = commands.some(mayBlock) ? { timeoutMs: NO_DEADLINE_MS, signal: this.#signal } : undefined;
    const pin = this.#pinFor(commands);
    if (pin === undefined) {
      const sent = this.#order.in(() => this.#line.call(method, args, options));
      if (isLarge(args)) this.#order.endsWith(sent);
      return sent;
    }
    const isLast = pin.begin(commands);
    const sent = this.#order.in(() => pin.call((object) => this.#line.callOn(object, method, args, options)));
    if (isLast || isLarge(args)) this.#order.endsWith(sent);
    if (isLast) this.#unpin(pin, sent);
    return sent;
  }

  #pinFor(commands: readonly RedisCommand[]): Pin | undefined {
    if (this.#pin?.takes(commands) === true) return this.#pin;
    if (Pin.isFor(commands)) this.#pin = new Pin(this.#line);
    else return undefined;
    return this.#pin;
  }

  #unpin(pin: Pin, last: Promise<unknown>): void {
    this.#pin = undefined;
    const end = (): void => pin.end();
    last.then(end, end);
  }

  get #signal(): CallOptions['signal'] {
    if (this.#blocking === undefined) {
      this.#blocking = new AbortController();
      setMaxListeners(0, this.#blocking.signal);
    }
    return this.#blocking.signal;
  }

  /** The client in the sidecar has long been ready: whoever waits for that hears of it, once. */
  #announce(): void {
    const waited = new Set(['connect', 'ready']);
    this.on('newListener', (event: string | symbol) => {
      if (typeof event === 'string' && waited.delete(event)) setImmediate(() => this.emit(event));
    });
  }

  #tell(event: string, args: readonly unknown[]): void {
    if (event === 'error' && this.listenerCount(event) === 0) process.emitWarning(args[0] as Error);
    else this.emit(event, ...args);
  }
}

for (const scan of SCANS) {
  for (const kind of ['', 'Buffer']) {
    const value = function (this: Commander, ...args: unknown[]): ScanStream {
      const key = scan === 'scan' ? [] : [args.shift()];
      return new ScanStream((cursor, rest) => this[RUN]([`${scan}${kind}`, [...key, cursor, ...rest]], undefined) as Promise<unknown>, args[0] as ScanOptions | undefined);
    };
    Object.defineProperty(StandIn.prototype, `${scan}${kind}Stream`, { value, writable: true, configurable: true });
  }
}

function callOf([method, args]: RedisCommand): [method: string, args: readonly unknown[]] {
  return typeof method === 'string' ? [method, args] : [REDIS.script, [method, args]];
}

/** In ioredis's own words, which callers match on. */
function connectionClosed(): Error {
  return new Error('Connection is closed.');
}

/** The class of the clients of one ioredis, with its commands. */
function classWith(names: readonly string[] | undefined): Duplicate {
  class Pipeline extends Batch {}
  class Redis extends StandIn {
    static readonly Batch = Pipeline;
    static readonly names = names;
  }
  for (const { prototype } of [Pipeline, Redis]) addCommands(prototype, names);
  return Redis;
}

const classes = new Map<string, Duplicate>();

export const redisStandIn: MakeStandIn = ({ line, config, require }) => {
  const names = commandNames(require);
  const known = names?.join() ?? '';
  const Redis = classes.get(known) ?? classWith(names);
  classes.set(known, Redis);
  return new Redis(line, config);
};
