/**
 * What a stand-in for an ioredis client listens to: channels, patterns, or all commands of the server. The sidecar has a
 * connection for it alone, and sends what comes as a stream. It runs in instances.
 *
 * A subscription has no effect that could happen twice, so it is made again after a sidecar has gone; the gap is told by
 * an `error` event with `CARTON_SIDECAR_MESSAGES_LOST`.
 */
import type { RemoteObject } from '../../../rpc/remote';
import { REDIS } from '../../../protocol/redis';
import { systemClock, type Timer } from '../../../support/clock';
import { CartonError } from '../../../support/errors';
import type { ClientLine } from '../client_line';

/** Milliseconds between two tries to subscribe again. A try itself waits for the sidecar. */
const PAUSE_MS = 200;

const SUBSCRIBING = ['subscribe', 'psubscribe', 'ssubscribe'];
const UNSUBSCRIBING = ['unsubscribe', 'punsubscribe', 'sunsubscribe'];

export function isSubscription(name: string): boolean {
  return SUBSCRIBING.includes(name) || UNSUBSCRIBING.includes(name);
}

type Message = readonly [event: string, ...args: unknown[]];
type Messages = AsyncIterable<Message>;
export type Emit = (event: string, ...args: unknown[]) => void;

export class Feed {
  readonly #line: ClientLine;
  readonly #emit: Emit;
  /** Channels by the command that subscribes to them. */
  readonly #wanted = new Map<string, Map<string, unknown>>(SUBSCRIBING.map((name) => [name, new Map<string, unknown>()]));
  #isMonitor = false;
  #object: RemoteObject | undefined;
  /** Changes are made one after the other, as on one connection. */
  #last: Promise<unknown> = Promise.resolve();
  #retry: Timer | undefined;

  constructor(line: ClientLine, emit: Emit) {
    this.#line = line;
    this.#emit = emit;
  }

  /** Resolves with how many subscriptions there are. */
  change(name: string, channels: readonly unknown[]): Promise<unknown> {
    return this.#afterOthers(() => (SUBSCRIBING.includes(name) ? this.#subscribe(name, channels) : this.#unsubscribe(name, channels)));
  }

  monitor(): Promise<unknown> {
    this.#isMonitor = true;
    return this.#afterOthers(() => this.#opened());
  }

  /** What is under way ends, too. */
  close(): void {
    const close = (): void => {
      this.#isMonitor = false;
      for (const channels of this.#wanted.values()) channels.clear();
      this.#closeIfUnused();
    };
    close();
    void this.#afterOthers(async () => close());
  }

  get #isUsed(): boolean {
    return this.#isMonitor || [...this.#wanted.values()].some(({ size }) => size > 0);
  }

  #afterOthers<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#last.then(change);
    this.#last = changed.catch(() => undefined);
    return changed;
  }

  async #subscribe(name: string, channels: readonly unknown[]): Promise<unknown> {
    try {
      const count = await this.#call(await this.#opened(), name, channels);
      for (const channel of channels) this.#wanted.get(name)?.set(String(channel), channel);
      return count;
    } finally {
      this.#closeIfUnused();
    }
  }

  /** Without channels: from all of them, by name, since ioredis would wait until there is no other subscription either. */
  async #unsubscribe(name: string, channels: readonly unknown[]): Promise<unknown> {
    const kind = name.replace('un', '');
    const wanted = this.#wanted.get(kind);
    const leaving = channels.length > 0 ? channels : [...(wanted?.values() ?? [])];
    for (const channel of leaving) wanted?.delete(String(channel));
    const count = this.#object === undefined || leaving.length === 0 ? this.#countWith(kind) : await this.#call(this.#object, name, leaving);
    this.#closeIfUnused();
    return count;
  }

  /** As Redis counts: those of shards apart. */
  #countWith(kind: string): number {
    const counted = kind === 'ssubscribe' ? [kind] : ['subscribe', 'psubscribe'];
    return counted.reduce((sum, each) => sum + (this.#wanted.get(each)?.size ?? 0), 0);
  }

  #call(object: RemoteObject, method: string, args: readonly unknown[]): Promise<unknown> {
    return this.#line.callOn(object, method, args);
  }

  /** With all that is wanted. */
  async #opened(): Promise<RemoteObject> {
    if (this.#object !== undefined) return this.#object;
    const object = (await this.#line.call(REDIS.feed, [{ isMonitor: this.#isMonitor }])) as RemoteObject;
    try {
      const messages = (await this.#call(object, REDIS.messages, [])) as Messages;
      for (const [name, channels] of this.#wanted) if (channels.size > 0) await this.#call(object, name, [...channels.values()]);
      this.#object = object;
      void this.#read(object, messages);
      return object;
    } catch (error) {
      object.end();
      throw error;
    }
  }

  async #read(object: RemoteObject, messages: Messages): Promise<void> {
    let cause: unknown;
    try {
      // A listener that throws is its own matter, and no end of this.
      for await (const message of messages) queueMicrotask(() => this.#tell(message));
    } catch (error) {
      cause = error;
    }
    if (this.#object !== object) return;
    this.#object = undefined;
    object.end();
    if (!this.#isUsed) return;
    this.#again();
    this.#emit('error', new CartonError('CARTON_SIDECAR_MESSAGES_LOST', { cause }));
  }

  #tell([event, ...args]: Message): void {
    if (event === 'monitor') return this.#emit(event, ...args);
    const [first, ...others] = args as [Buffer, ...Buffer[]];
    this.#emit(event, ...[first, ...others].map(String));
    // The pattern is text in either.
    this.#emit(`${event}Buffer`, event === 'pmessage' ? String(first) : first, ...others);
  }

  #again(): void {
    this.#afterOthers(async () => {
      if (this.#isUsed) await this.#opened();
      this.#closeIfUnused();
    }).catch(() => {
      this.#retry = systemClock.after(PAUSE_MS, () => this.#again());
    });
  }

  #closeIfUnused(): void {
    if (this.#isUsed) return;
    this.#retry?.cancel();
    const object = this.#object;
    this.#object = undefined;
    object?.end();
  }
}
