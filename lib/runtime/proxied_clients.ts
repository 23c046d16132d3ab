/**
 * A process's proxies of clients that sidecars hold, and its lines to them. Runs in function processes and templates.
 */
import assert from 'node:assert';
import type { Clock } from '../support/clock';
import { CartonError } from '../support/errors';
import type { ClientKind, ProxiedClient } from '../support/host_environment';
import { wirePath } from '../protocol/wire_path';
import type { WireAddress } from '../spec/database_connections';
import type { SidecarAccess, SidecarIdentity } from '../protocol/control';
import { RemoteObject } from '../rpc/remote';
import type { CallOptions } from '../rpc/remote_call';
import type { ClientLine, MakeStandIn, StandInOptions } from './clients/client_line';
import type { remoteClient } from './clients/remote_client';
import { SidecarLink } from './sidecar_link';

/** Loaded where one is used. */
const MAKERS: Readonly<Record<Exclude<ClientKind, 'mysql-wire'>, () => MakeStandIn>> = {
  'ali-rds': () => (require('./clients/ali_rds') as { rdsStandIn: MakeStandIn }).rdsStandIn,
  ioredis: () => (require('./clients/ioredis') as { redisStandIn: MakeStandIn }).redisStandIn,
  generic,
};

function generic(): MakeStandIn {
  const { remoteClient: make } = require('./clients/remote_client') as { remoteClient: typeof remoteClient };
  return ({ line }) => make((method, args) => line.call(method, args));
}

export class ProxiedClients {
  readonly #access: SidecarAccess;
  readonly #clock: Clock;
  readonly #links = new Map<string, SidecarLink>();
  #identity: SidecarIdentity;

  /** `access`: as whom calls go out until `authorize` says otherwise. */
  constructor(access: SidecarAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
    this.#identity = access;
  }

  /** `name`: of the client among the sidecar's; undefined for one that the sidecar is to make from its configuration. */
  standIn({ client, kind, sidecar }: ProxiedClient, { name, ...options }: Omit<StandInOptions, 'line'> & { readonly name: string | undefined }): object {
    assert(kind !== 'mysql-wire', 'a driver connects by itself');
    const link = this.#linkTo(sidecar);
    return MAKERS[kind]()({ ...options, line: name === undefined ? new MadeLine(link, client, options.config) : new NamedLine(link, name) });
  }

  /** How a driver of a database reaches the sidecar: `id` is a connection's of the client. */
  wire({ client, sidecar }: ProxiedClient, id: string): WireAddress {
    const { claims, token } = this.#identity;
    // Nobody listens where there is no sidecar, as where an application is only recorded.
    return { socketPath: wirePath(this.#access.sockets[sidecar] ?? '/nonexistent/sidecar.sock', client, id), user: claims, password: token };
  }

  /** From now on this process is an instance, with the rights of one. */
  authorize(identity: SidecarIdentity): void {
    this.#identity = identity;
    for (const link of this.#links.values()) link.authorize(identity);
  }

  /** What is under way fails; later calls connect again. Resolves when no socket is left. */
  async disconnect(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.disconnect()));
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }

  #linkTo(sidecar: string): SidecarLink {
    const known = this.#links.get(sidecar);
    if (known !== undefined) return known;
    const link = new SidecarLink({
      name: sidecar,
      socketPath: this.#access.sockets[sidecar],
      identity: this.#identity,
      timeoutMs: this.#access.callTimeoutMs,
      clock: this.#clock,
    });
    this.#links.set(sidecar, link);
    return link;
  }
}

class NamedLine implements ClientLine {
  constructor(readonly link: SidecarLink, readonly name: string) {}

  call(method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.link.call(this.name, method, args, options);
  }

  callOn(object: RemoteObject, method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.link.callOn(object, method, args, options);
  }
}

/** To a client that the sidecar makes for this process alone, at the first call, and again after it has gone. */
class MadeLine implements ClientLine {
  #made: Promise<RemoteObject> | undefined;

  constructor(readonly link: SidecarLink, readonly client: string, readonly config: unknown) {}

  async call(method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.link.callOn(await this.#client(options), method, args, options);
  }

  callOn(object: RemoteObject, method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown> {
    return this.link.callOn(object, method, args, options);
  }

  async #client(options: CallOptions | undefined): Promise<RemoteObject> {
    const made = (this.#made ??= this.#make(options));
    try {
      const object = await made;
      if (!object.remote.session.isClosed) return object;
      if (this.#made === made) this.#made = undefined;
      return await this.#client(options);
    } catch (error) {
      if (this.#made === made) this.#made = undefined;
      throw error;
    }
  }

  async #make(options: CallOptions | undefined): Promise<RemoteObject> {
    const made = await this.link.call(this.client, CREATE, [this.config], options);
    if (made instanceof RemoteObject) return made;
    throw new CartonError('CARTON_RPC_BAD_FRAME', { of: `${this.client}.createInstance`, expected: 'an object', got: typeof made });
  }
}

/** Of each client that a sidecar offers: makes another one from a configuration. */
const CREATE = 'createInstance';
