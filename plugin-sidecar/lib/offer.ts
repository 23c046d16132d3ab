/**
 * What a sidecar offers of one client: the client itself or those of its names, and others that are made from a
 * configuration for one process. Runs in sidecars.
 */
import { CartonError } from '../../lib/support/errors';
import type { ClientKind } from '../../lib/support/host_environment';
import { LIMITS } from '../../lib/support/limits';
import { Held, type ServedCall, type Target } from '../../lib/rpc/remote_objects';
import { ClientTarget } from './client_target';
import { serveRds } from './clients/ali_rds';
import { serveRedis } from './clients/ioredis';

interface KindOfClient {
  /** To one session: a target may count what that one has. */
  serve(client: object): Target;
  /** One that was made for a process, which is gone. */
  close(client: object): void;
}

/** Those whose methods are called; drivers come another way. */
export type CalledKind = Exclude<ClientKind, 'mysql-wire'>;

const KINDS: Readonly<Record<CalledKind, KindOfClient>> = {
  'ali-rds': { serve: serveRds, close: (client) => void (client as { end(): unknown }).end() },
  ioredis: { serve: serveRedis, close: (client) => (client as { disconnect(): void }).disconnect() },
  generic: { serve: (client) => new ClientTarget(client, {}), close: closeSomehow },
};

/** What `app.addSingleton` makes where there is not one client, but several. */
interface Singleton {
  readonly clients: ReadonlyMap<string, object>;
}

/** What it puts on a single one, and has itself. */
interface Maker {
  createInstance?(config: unknown): object;
  createInstanceAsync?(config: unknown): Promise<object>;
}

export class Offer {
  readonly #kind: KindOfClient;
  readonly #client: object | undefined;

  constructor(kind: CalledKind, client: unknown) {
    this.#kind = KINDS[kind];
    this.#client = typeof client === 'object' && client !== null ? client : undefined;
  }

  /** One for each session. `id`: among several clients; undefined for the only one, and for making others. */
  target(id: string | undefined): Target | undefined {
    if (this.#client === undefined) return undefined;
    const many = isSingleton(this.#client) ? this.#client : undefined;
    if (id === undefined) return new MakingTarget(this.#client, this.#kind, many === undefined ? this.#serve(this.#client) : NOTHING);
    const named = many?.clients.get(id);
    return named && this.#serve(named);
  }

  #serve(client: object): Target {
    return this.#kind.serve(client);
  }
}

/** Serves the client, and makes others. */
class MakingTarget implements Target {
  readonly #maker: Maker;
  readonly #kind: KindOfClient;
  readonly #client: Target;
  #made = 0;

  constructor(client: object, kind: KindOfClient, served: Target) {
    this.#maker = client;
    this.#kind = kind;
    this.#client = served;
  }

  invoke(method: string, args: readonly unknown[], call: ServedCall): unknown {
    return method === CREATE ? this.#make(args[0]) : this.#client.invoke(method, args, call);
  }

  async #make(config: unknown): Promise<Held> {
    if (this.#made >= LIMITS.madeClients) throw new CartonError('CARTON_RPC_TOO_MANY_OBJECTS', { of: CREATE, expected: `at most ${LIMITS.madeClients}`, got: 'another one' });
    this.#made += 1;
    try {
      const { createInstance, createInstanceAsync } = this.#maker;
      // The synchronous one refuses where clients are made by promise.
      const client = createInstanceAsync === undefined ? createInstance?.call(this.#maker, config) : await createInstanceAsync.call(this.#maker, config);
      if (client === undefined) throw new CartonError('CARTON_RPC_NO_METHOD', { got: CREATE });
      return new Held(this.#kind.serve(client), undefined, () => {
        this.#made -= 1;
        this.#kind.close(client);
      });
    } catch (error) {
      this.#made -= 1;
      throw error;
    }
  }
}

const CREATE = 'createInstance';

const NOTHING: Target = {
  invoke(method) {
    throw new CartonError('CARTON_RPC_NO_METHOD', { got: method.slice(0, 100) });
  },
};

function isSingleton(value: object): value is Singleton {
  return (value as Partial<Singleton>).clients instanceof Map && typeof (value as Maker).createInstance === 'function';
}

function closeSomehow(client: object): void {
  const { close, end, disconnect } = client as Record<string, unknown>;
  const found = [close, end, disconnect].find((method) => typeof method === 'function') as (() => unknown) | undefined;
  found?.call(client);
}
