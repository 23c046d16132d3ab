/**
 * A connection that listens, for one stand-in: to channels and patterns, or as a monitor. What comes waits in a queue with
 * a limit and goes out as a stream. It runs in sidecars.
 */
import { Readable } from 'node:stream';
import { REDIS } from '../../../../lib/protocol/redis';
import { Held, type Target } from '../../../../lib/rpc/remote_objects';
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { reached, type Connections, type Method, type RedisClient } from './connections';

const METHODS = new Set(['subscribe', 'psubscribe', 'ssubscribe', 'unsubscribe', 'punsubscribe', 'sunsubscribe']);
const EVENTS = ['message', 'pmessage', 'smessage'];
/** Of a message, beside its content. */
const OVERHEAD_BYTES = 64;

export interface FeedOptions {
  readonly isMonitor: boolean;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/** Throws `CARTON_SIDECAR_TOO_MANY_CONNECTIONS`, or rejects with why it cannot listen. */
export async function openFeed(connections: Connections, { isMonitor, signal }: FeedOptions): Promise<Held> {
  const connection = connections.make({ lazyConnect: false, enableOfflineQueue: true, ...(isMonitor && { monitor: true }) });
  const messages = new Messages();
  connection.once('end', () => messages.destroy(new CartonError('CARTON_SIDECAR_MESSAGES_LOST', { got: 'the end of the connection to Redis' })));
  for (const event of EVENTS) connection.on(`${event}Buffer`, (...args: unknown[]) => messages.add([event, ...args]));
  connection.on('monitor', (...args: unknown[]) => messages.add(['monitor', ...args]));
  await reached(connection, { event: isMonitor ? 'monitoring' : 'ready', signal });
  const end = (): void => {
    messages.destroy();
    connection.disconnect();
  };
  return new Held(feedTarget(connection, messages), undefined, end);
}

function feedTarget(connection: RedisClient, messages: Messages): Target {
  return {
    invoke(method, args) {
      if (method === REDIS.messages) return messages;
      if (!METHODS.has(method)) throw new CartonError('CARTON_RPC_NO_METHOD', { got: method.slice(0, 100) });
      return (connection as unknown as Record<string, Method>)[method]?.(...args.flat().filter((arg) => typeof arg !== 'function'));
    },
  };
}

class Messages extends Readable {
  readonly #queue: { readonly message: readonly unknown[]; readonly bytes: number }[] = [];
  #bytes = 0;
  #isAsked = false;

  constructor() {
    super({ objectMode: true, highWaterMark: 1 });
    // Whoever reads it learns of that.
    this.on('error', () => undefined);
  }

  add(message: readonly unknown[]): void {
    if (this.destroyed) return;
    const bytes = message.reduce<number>((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : String(part).length), OVERHEAD_BYTES);
    if (this.#bytes + bytes > LIMITS.redisMessageBytes) {
      this.#queue.length = 0;
      this.destroy(new CartonError('CARTON_SIDECAR_MESSAGES_LOST', { expected: `a reader that is at most ${LIMITS.redisMessageBytes} bytes behind`, got: 'a slower one' }));
      return;
    }
    this.#bytes += bytes;
    this.#queue.push({ message, bytes });
    if (this.#isAsked) this._read();
  }

  override _read(): void {
    const next = this.#queue.shift();
    this.#isAsked = next === undefined;
    if (next === undefined) return;
    this.#bytes -= next.bytes;
    this.push(next.message);
  }
}
