/**
 * The agent's sessions with the app workers: pushes functions and instances to all of them, adds up their demand.
 */
import { CartonError, describe, toWire } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import { LIMITS } from '../support/limits';
import {
  decodeControl, encodeControl, expectFields, expectMocks, METHOD,
  type Demand, type GroupRefused, type InstanceLost, type InstancesPush, type MocksChange, type SpecsPush,
} from '../protocol/control';
import type { IncomingCall } from '../rpc/incoming_call';
import type { Session, SessionHandlers } from '../rpc/session';

/** What workers ask of the scheduler. */
export interface WorkerListener {
  /** Demand of one group over all workers. */
  onDemand(demand: Demand): void;
  onLost(lost: InstanceLost): void;
  /** The number of workers has changed: everyone's share has, too. */
  onWorkers(): void;
  refreshSpecs(): Promise<void>;
  setMocks(change: MocksChange): Promise<void>;
}

export class WorkerSessions {
  readonly #listener: WorkerListener;
  readonly #log: HostLog;
  /** Per worker: what waits and runs there, by group. */
  readonly #demands = new Map<Session, Map<string, Demand>>();

  constructor(listener: WorkerListener, log: HostLog) {
    this.#listener = listener;
    this.#log = log;
  }

  get count(): number {
    return this.#demands.size;
  }

  /** Takes a worker's session; it hears of functions and instances by the push that follows `onWorkers`. */
  add(session: Session): SessionHandlers {
    this.#demands.set(session, new Map());
    queueMicrotask(() => this.#listener.onWorkers());
    return {
      onEvent: (method, payload) => this.#onEvent(session, method, payload),
      onCall: (call) => this.#onCall(call),
      onClosed: () => {
        const groups = [...(this.#demands.get(session)?.keys() ?? [])];
        this.#demands.delete(session);
        for (const group of groups) this.#listener.onDemand(this.#total(group));
        this.#listener.onWorkers();
      },
    };
  }

  pushSpecs(push: SpecsPush): void {
    this.#broadcast(METHOD.specs, push);
  }

  /** At once: requests wait for it. */
  pushInstances(push: InstancesPush): void {
    this.#broadcast(METHOD.instances, push);
    for (const session of this.#demands.keys()) session.flush();
  }

  /** Demand of these groups over all workers. */
  totals(groups: readonly { readonly key: string }[]): Demand[] {
    return groups.map(({ key }) => this.#total(key));
  }

  /** After it nobody waits for the group any more, whatever a worker has reported before it hears of this. */
  pushRefused(refused: GroupRefused): void {
    for (const demands of this.#demands.values()) {
      const demand = demands.get(refused.group);
      if (demand !== undefined) demands.set(refused.group, { ...demand, waiting: 0 });
    }
    this.#broadcast(METHOD.refused, refused);
  }

  close(): void {
    for (const session of this.#demands.keys()) session.close();
  }

  #broadcast(method: number, message: unknown): void {
    const payload = encodeControl(message);
    for (const session of this.#demands.keys()) session.event(method, payload);
  }

  #onEvent(session: Session, method: number, payload: Buffer): void {
    const message = decodeControl(payload);
    if (method === METHOD.demand) {
      const demand = expectFields<Demand>(message, { group: 'string', waiting: 'count', inflight: 'count' });
      this.#note(session, demand);
      return this.#listener.onDemand(this.#total(demand.group));
    }
    if (method === METHOD.lost) return this.#listener.onLost(expectFields<InstanceLost>(message, { id: 'string', reason: 'string' }));
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an event of a worker', got: `method ${method}` });
  }

  #note(session: Session, demand: Demand): void {
    const demands = this.#demands.get(session);
    demands?.set(demand.group, demand);
    if ((demands?.size ?? 0) <= LIMITS.demandGroups) return;
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: `demand of at most ${LIMITS.demandGroups} groups`, got: 'more' });
  }

  /** Throws `CARTON_RPC_BAD_FRAME` for what no worker asks. */
  #onCall(call: IncomingCall): void {
    if (call.method === METHOD.refreshSpecs) return void this.#refreshSpecs(call);
    if (call.method !== METHOD.setMocks) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a call of a worker', got: `method ${call.method}` });
    const message = decodeControl(call.payload);
    void this.#setMocks(call, { mocks: expectMocks(message), keep: expectFields<MocksChange>(message, { keep: 'boolean' }).keep });
  }

  async #refreshSpecs(call: IncomingCall): Promise<void> {
    try {
      await this.#listener.refreshSpecs();
    } catch (error) {
      // What was asked for failed, not the asking: the worker goes on with what it knows.
      this.#log.warn(describe(error));
    }
    call.reply(encodeControl({}));
  }

  async #setMocks(call: IncomingCall, change: MocksChange): Promise<void> {
    try {
      await this.#listener.setMocks(change);
    } catch (error) {
      if (error instanceof CartonError) return call.fail(toWire(error));
      this.#log.warn(describe(error));
    }
    call.reply(encodeControl({}));
  }

  #total(group: string): Demand {
    let waiting = 0;
    let inflight = 0;
    for (const demands of this.#demands.values()) {
      const demand = demands.get(group);
      waiting += demand?.waiting ?? 0;
      inflight += demand?.inflight ?? 0;
    }
    return { group, waiting, inflight };
  }
}
