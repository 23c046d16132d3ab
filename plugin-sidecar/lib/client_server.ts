/**
 * Serves a sidecar's clients to function processes, over its socket. Runs in sidecars.
 *
 * Guarantees, each with a test that names it:
 * 1. A process reaches the clients that its token is for, and nothing else.
 * 2. What a process holds here ends with its session.
 * 3. One that breaks the protocol loses its session, and no other process notices.
 */
import type { Server } from 'node:net';
import { settledWithin, type Clock } from '../../lib/support/clock';
import type { ProxiedClient } from '../../lib/support/host_environment';
import { decodeClaims, mayUse, partsOf, type Claims } from '../../lib/protocol/claims';
import { listen, sameToken, type Accepted } from '../../lib/rpc/handshake';
import { Remote } from '../../lib/rpc/remote';
import type { Target } from '../../lib/rpc/remote_objects';
import type { Session } from '../../lib/rpc/session';
import { Offer } from './offer';

export interface SidecarOptions {
  readonly held: readonly ProxiedClient[];
  readonly socketPath: string;
  readonly clock: Clock;
  /** The token of whoever claims that. */
  readonly tokenOf: (claims: string) => string;
  /** What opens control; undefined refuses. */
  readonly authorizeAgent: (token: string) => Accepted | undefined;
  /** There once it serves. */
  server?: ClientServer;
}

export class ClientServer {
  readonly #options: SidecarOptions;
  readonly #offers = new Map<string, Offer>();
  readonly #sessions = new Set<Session>();
  #server: Server | undefined;
  #onEmpty: () => void = () => undefined;

  /** `app`: has the clients, under their names. */
  constructor(app: Readonly<Record<string, unknown>>, options: SidecarOptions) {
    this.#options = options;
    for (const client of options.held) if (client.kind !== 'mysql-wire') this.#offers.set(client.client, new Offer(client.kind, app[client.client]));
  }

  async listen(): Promise<void> {
    this.#server = await listen(this.#options.socketPath, (token, claims) => this.#authorize(token, claims));
  }

  /** Takes nobody new, and resolves when the last one has gone, at the latest after `forMs`. */
  async drained(forMs: number): Promise<void> {
    this.#server?.close();
    if (this.#sessions.size > 0) await settledWithin(this.#options.clock, forMs, new Promise<void>((resolve) => (this.#onEmpty = resolve)));
  }

  close(): void {
    this.#server?.close();
    for (const session of this.#sessions) session.close();
  }

  #authorize(token: string, claims: string): Accepted | undefined {
    if (claims === '') return this.#options.authorizeAgent(token);
    if (!sameToken(token, this.#options.tokenOf(claims))) return undefined;
    const known = decodeClaims(claims);
    return { welcome: {}, handlers: (session) => this.#open(session, known).handlers };
  }

  #open(session: Session, claims: Claims): Remote {
    const targets = new Map<string, Target | undefined>();
    const { clock } = this.#options;
    this.#sessions.add(session);
    return new Remote(session, {
      clock,
      offers: (name) => {
        if (!targets.has(name)) targets.set(name, this.#targetOf(name, claims));
        return targets.get(name);
      },
      onClosed: () => {
        this.#sessions.delete(session);
        if (this.#sessions.size === 0) this.#onEmpty();
      },
    });
  }

  #targetOf(name: string, claims: Claims): Target | undefined {
    const { client, id } = partsOf(name);
    return mayUse(claims, name) ? this.#offers.get(client)?.target(id) : undefined;
  }
}
