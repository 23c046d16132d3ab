/**
 * Serves the methods of a client to other processes: looks up what may be called, hands arguments over, and keeps here
 * what cannot leave, such as the connection of a transaction. It runs in sidecars.
 *
 * 1. Only methods are called, and only those that a user of the client could call: never private ones, nor those of every
 *    object.
 * 2. What stays here is ended once: by whoever uses it, by the callback that it was given to, or with the session of
 *    whoever had it.
 */
import { Held, type ServedCall, type Target } from '../../lib/rpc/remote_objects';
import { CartonError } from '../../lib/support/errors';

/** What is known of a kind of client, or of an object that one of them gives. */
export interface ClientAdapter {
  /** Methods that may be called. @default all that the client has and that do not begin with `_` */
  readonly methods?: readonly string[];
  /** For results, and for what callbacks are given: how an object is served that stays here. Undefined: it is data. */
  readonly stays?: (value: object, method: string) => StayingAdapter | undefined;
}

export interface StayingAdapter extends ClientAdapter {
  /** What its user has not ended is to leave nothing behind: rolls back, closes, returns to its pool. */
  readonly end: (value: object) => void;
  /** Methods after which it has ended by itself. */
  readonly endedBy: readonly string[];
}

type Method = (...args: unknown[]) => unknown;

/** What the other side is told of an object that stays here. */
export interface StayingData {
  readonly methods: readonly string[];
}

export class ClientTarget implements Target {
  readonly #methods: ReadonlySet<string>;

  constructor(readonly object: object, readonly adapter: ClientAdapter) {
    this.#methods = new Set(adapter.methods ?? methodsOf(object));
  }

  get methods(): readonly string[] {
    return [...this.#methods];
  }

  /** Throws `CARTON_RPC_NO_METHOD`. */
  async invoke(method: string, args: readonly unknown[], _call?: ServedCall): Promise<unknown> {
    const found = this.#methods.has(method) ? (this.object as Record<string, unknown>)[method] : undefined;
    if (typeof found !== 'function') throw new CartonError('CARTON_RPC_NO_METHOD', { got: method.slice(0, 100) });
    return this.#leaving(await (found as Method).apply(this.object, args.map((arg) => this.#arriving(arg, method))), method);
  }

  #arriving(arg: unknown, method: string): unknown {
    if (arg instanceof Held) return arg.target instanceof ClientTarget ? arg.target.object : arg;
    return typeof arg === 'function' ? this.#callback(arg as Method, method) : arg;
  }

  /** What a callback is given stays here until it is done: the connection of a transaction, as a rule. */
  #callback(callback: Method, method: string): Method {
    return async (...args) => {
      const given = args.map((arg) => this.#leaving(arg, method, { isClients: true }));
      try {
        return await callback(...given);
      } finally {
        for (const each of given) if (each instanceof Held) each.end();
      }
    };
  }

  /** `isClients`: the client itself ends it when the callback that it is given to has answered, or failed. */
  #leaving(value: unknown, method: string, { isClients } = { isClients: false }): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const adapter = this.adapter.stays?.(value, method);
    if (adapter === undefined) return value;
    return new StayingTarget(value, isClients ? { ...adapter, end: () => undefined } : adapter).held;
  }
}

/** An object that stays here while another process uses it. */
export class StayingTarget extends ClientTarget {
  readonly held: Held;
  #hasEnded = false;

  constructor(object: object, override readonly adapter: StayingAdapter) {
    super(object, adapter);
    this.held = new Held(this, { methods: this.methods } satisfies StayingData, () => this.#end());
  }

  override async invoke(method: string, args: readonly unknown[], call?: ServedCall): Promise<unknown> {
    try {
      return await super.invoke(method, args, call);
    } finally {
      if (this.adapter.endedBy.includes(method)) this.#endedByItself();
    }
  }

  #endedByItself(): void {
    this.#hasEnded = true;
    this.held.end();
  }

  #end(): void {
    if (!this.#hasEnded) this.adapter.end(this.object);
  }
}

/** Own ones and those of its classes, without what every object has. */
function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (let at: object | null = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) if (typeof value === 'function' && name !== 'constructor' && !name.startsWith('_')) names.add(name);
  }
  // A client that is an emitter has these as well; a listener would outlive the call that brings it.
  for (const name of EMITTER) names.delete(name);
  return [...names];
}

const EMITTER = ['on', 'once', 'off', 'emit', 'addListener', 'removeListener', 'removeAllListeners', 'prependListener', 'prependOnceListener', 'setMaxListeners', 'getMaxListeners', 'eventNames', 'listeners', 'rawListeners', 'listenerCount'];
