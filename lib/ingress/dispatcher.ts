/**
 * Everything that a worker knows of functions and instances, and the one door through which a OneAPI request goes to
 * an instance, whatever trigger made it. It knows no HTTP.
 */
import type { Clock } from '../support/clock';
import { CartonError } from '../support/errors';
import type { HostEnvironment } from '../support/host_environment';
import type { HostDirectory } from '../support/host_directory';
import { didYouMean } from '../support/nearest';
import { METHOD, type Demand, type GroupRefused, type InstancesPush, type SpecsPush } from '../protocol/control';
import type { OneapiRequest } from '../protocol/oneapi';
import type { FunctionSpec } from '../spec/types';
import type { BodyFeed } from './body_feed';
import { Dispatch, type Receiver } from './dispatch';
import { GroupDispatcher } from './group_dispatcher';
import { TokenBucket } from './rate_limit';
import { SchedulerLink, type SchedulerListener } from './scheduler_link';

/** A function, and what this worker does for it. */
interface Address {
  readonly spec: FunctionSpec;
  readonly group: GroupDispatcher;
  readonly index: number;
  readonly bucket: TokenBucket | undefined;
  /** This worker's share of the host's queue: at least one. */
  readonly queueLimit: number;
}

export class Dispatcher implements SchedulerListener {
  readonly #clock: Clock;
  readonly #scheduler: SchedulerLink;
  readonly #groups = new Map<string, GroupDispatcher>();
  readonly #addresses = new Map<string, Address>();
  #onIdle: (() => void) | undefined;
  #onSpecs: ((functions: readonly FunctionSpec[]) => void) | undefined;
  #closing = false;
  revision = '';

  constructor(environment: HostEnvironment, directory: HostDirectory) {
    this.#clock = environment.clock;
    this.#scheduler = new SchedulerLink(directory, environment.clock, environment.log, this);
  }

  /** Connects to the scheduler. `onSpecs` hears of the functions, at first and whenever they change. */
  start(onSpecs: (functions: readonly FunctionSpec[]) => void): void {
    this.#onSpecs = onSpecs;
    this.#scheduler.connect();
  }

  get functions(): FunctionSpec[] {
    return [...this.#addresses.values()].map((address) => address.spec);
  }

  /** Throws `CARTON_INGRESS_UNKNOWN_FUNCTION`. */
  find(name: string): FunctionSpec {
    const address = this.#addresses.get(name);
    if (address !== undefined) return address.spec;
    throw new CartonError('CARTON_INGRESS_UNKNOWN_FUNCTION', { got: JSON.stringify(name), hint: didYouMean(name, [...this.#addresses.keys()]) });
  }

  /** Takes one request's worth of the rate limit, before its body is read. Throws what refuses it. */
  admit(spec: FunctionSpec): void {
    const of = `function "${spec.name}"`;
    if (this.#closing) throw new CartonError('CARTON_INGRESS_CLOSING', { of, retryAfterMs: 1000 });
    const address = this.#addresses.get(spec.name);
    const refusal = address?.group.refusal;
    if (refusal !== undefined) throw refusal;
    const waitMs = address?.bucket?.take() ?? 0;
    if (waitMs === 0) return;
    throw new CartonError('CARTON_INGRESS_RATE_LIMITED', {
      of,
      expected: `at most ${spec.rateLimit?.perSecond ?? 0} a second`,
      retryAfterMs: waitMs,
    });
  }

  /** @param deadline clock time by which the answer must have been given */
  dispatch(request: OneapiRequest, body: Buffer | BodyFeed, deadline: number, receiver: Receiver): Dispatch {
    const { spec, group, index, queueLimit } = this.#addresses.get(request.function) as Address;
    const dispatch = new Dispatch(request, spec, index, body, deadline, group, receiver);
    group.submit(dispatch, queueLimit);
    return dispatch;
  }

  /** In development: has the agent look at specs and files again, and waits until this worker has heard of it. */
  async refresh(): Promise<void> {
    await this.#scheduler.request(METHOD.refreshSpecs, {});
  }

  async setMocks(mocks: unknown): Promise<void> {
    await this.#scheduler.request(METHOD.setMocks, { mocks });
  }

  /** Takes nothing new, waits for what is open, at most `limitMs`. */
  async drain(limitMs: number, open: () => number): Promise<void> {
    this.#closing = true;
    const until = this.#clock.now() + limitMs;
    while (open() > 0 && this.#clock.now() < until) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        this.#clock.after(until - this.#clock.now(), resolve);
      });
    }
  }

  /** One that `drain` waits for has ended. */
  ended(): void {
    this.#onIdle?.();
  }

  close(): void {
    this.#closing = true;
    this.#scheduler.close();
    for (const group of this.#groups.values()) group.close();
  }

  onSpecs(push: SpecsPush): void {
    this.revision = push.revision;
    this.#updateGroups(push);
    const groups = new Map(push.groups.map((group) => [group.key, group]));
    this.#addresses.clear();
    for (const spec of push.functions) {
      const group = this.#groups.get(spec.group) as GroupDispatcher;
      this.#addresses.set(spec.name, {
        spec,
        group,
        index: groups.get(spec.group)?.functions.indexOf(spec.name) ?? 0,
        bucket: spec.rateLimit === null ? undefined : new TokenBucket(spec.rateLimit, push.workers, this.#clock),
        queueLimit: Math.max(1, Math.ceil(spec.queueLimit / push.workers)),
      });
    }
    this.#onSpecs?.(push.functions);
  }

  onInstances(push: InstancesPush): void {
    this.#groups.get(push.group)?.setInstances(push.instances);
  }

  onRefused(refused: GroupRefused): void {
    this.#groups.get(refused.group)?.refuse(refused.error, refused.forMs);
  }

  allDemand(): Demand[] {
    return [...this.#groups.values()].map((group) => group.demand).filter((demand) => demand.waiting + demand.inflight > 0);
  }

  #updateGroups(push: SpecsPush): void {
    const live = new Map(push.instances.map((entry) => [entry.group, entry.instances]));
    for (const spec of push.groups) {
      let group = this.#groups.get(spec.key);
      if (group === undefined) {
        group = new GroupDispatcher(spec, {
          clock: this.#clock,
          demand: (demand) => this.#scheduler.demand(demand),
          lost: (lost) => this.#scheduler.lost(lost),
          hasScheduler: () => this.#scheduler.isConnected,
        });
        this.#groups.set(spec.key, group);
      }
      group.setSpec(spec);
      group.setInstances(live.get(spec.key) ?? []);
    }
  }
}
