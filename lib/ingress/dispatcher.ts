/**
 * Everything that a worker knows of functions and instances, and the one door through which a OneAPI request goes to
 * an instance, whatever trigger made it. It knows no HTTP.
 */
import type { Clock } from '../support/clock';
import { CartonError } from '../support/errors';
import type { HostEnvironment, RateLimit } from '../support/host_environment';
import type { HostDirectory } from '../support/host_directory';
import { didYouMean } from '../support/nearest';
import { METHOD, type Demand, type GroupRefused, type InstancesPush, type MocksChange, type SpecsPush } from '../protocol/control';
import type { OneapiRequest } from '../protocol/oneapi';
import type { FunctionSpec, GroupSpec } from '../spec/types';
import type { BodyFeed } from './body_feed';
import { Dispatch, type Receiver } from './dispatch';
import { GroupDispatcher } from './group_dispatcher';
import { TokenBucket } from './rate_limit';
import { SchedulerLink, type SchedulerListener } from './scheduler_link';

/** A function, and what this worker does for it. */
interface Address {
  readonly spec: FunctionSpec;
  readonly group: GroupDispatcher;
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
  /** Resolves once what a test mocked is in place; requests wait for it. */
  #held: Promise<void> | undefined;
  #workers = 1;
  #draining = false;
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
    throw this.#unknown(name);
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

  /**
   * Whoever calls it also keeps the time: `expire` of the result is to be called at the deadline.
   * Throws `CARTON_INGRESS_UNKNOWN_FUNCTION` where the specs have changed since the function was found.
   * @param deadline clock time by which the answer must have been given
   */
  dispatch(request: OneapiRequest, body: Buffer | BodyFeed, deadline: number, receiver: Receiver): Dispatch {
    const address = this.#addresses.get(request.function);
    if (address === undefined) throw this.#unknown(request.function);
    const { spec, group, queueLimit } = address;
    const dispatch = new Dispatch(request, spec, body, deadline, group, receiver);
    if (this.#held === undefined) group.submit(dispatch, queueLimit);
    else this.#submitHeld(this.#held, dispatch, address);
    return dispatch;
  }

  /** In development: has the agent look at specs and files again, and waits until this worker has heard of it. */
  async refresh(): Promise<void> {
    await this.#scheduler.request(METHOD.refreshSpecs, {});
  }

  /** For tests: requests from now on wait until all instances have the mocks. Rejects with what an instance says. */
  setMocks(change: MocksChange): Promise<void> {
    const before = this.#held ?? Promise.resolve();
    const done = before.then(() => this.#scheduler.request(METHOD.setMocks, change)).then(() => undefined);
    // What goes wrong is told to the caller; requests are served all the same.
    const held = done.catch(() => undefined).then(() => {
      if (this.#held === held) this.#held = undefined;
    });
    this.#held = held;
    return done;
  }

  /** This worker is ending: what still comes is served, and its connection then closed. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /**
   * Waits for what is open, at most `limitMs`. Requests that come meanwhile on connections kept alive are served, too:
   * their callers could not know, and are sent elsewhere with the answer.
   */
  async drain(limitMs: number, open: () => number): Promise<void> {
    this.#draining = true;
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
    const gone = this.#updateGroups(push);
    this.#updateAddresses(push);
    for (const group of [...gone, ...this.#groups.values()]) group.handOver();
    // Last, because instances take what waits.
    const live = new Map(push.instances.map((entry) => [entry.group, entry.instances]));
    for (const group of gone) group.setInstances([]);
    for (const [key, group] of this.#groups) group.setInstances(live.get(key) ?? []);
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

  /** Returns the groups that are no more: they own no function, and nothing is sent to their instances. */
  #updateGroups(push: SpecsPush): GroupDispatcher[] {
    const gone = new Map(this.#groups);
    for (const spec of push.groups) {
      const group = this.#groups.get(spec.key) ?? this.#makeGroup(spec);
      group.setSpec(spec);
      this.#groups.set(spec.key, group);
      gone.delete(spec.key);
    }
    for (const [key, group] of gone) {
      group.disown();
      this.#groups.delete(key);
    }
    return [...gone.values()];
  }

  #makeGroup(spec: GroupSpec): GroupDispatcher {
    return new GroupDispatcher(spec, {
      clock: this.#clock,
      demand: (demand) => this.#scheduler.demand(demand),
      lost: (lost) => this.#scheduler.lost(lost),
      hasScheduler: () => this.#scheduler.isConnected,
      moved: (dispatch) => this.#moved(dispatch),
    });
  }

  #updateAddresses(push: SpecsPush): void {
    const before = new Map(this.#addresses);
    this.#addresses.clear();
    for (const spec of push.functions) {
      const old = push.workers === this.#workers ? before.get(spec.name) : undefined;
      this.#addresses.set(spec.name, {
        spec,
        group: this.#groups.get(spec.group) as GroupDispatcher,
        bucket: spec.rateLimit === null ? undefined : this.#bucketOf(spec.rateLimit, push.workers, old),
        queueLimit: Math.max(1, Math.ceil(spec.queueLimit / push.workers)),
      });
    }
    this.#workers = push.workers;
  }

  /** A bucket whose limit is the same goes on as full as it is: specs are pushed again whenever the agent comes back. */
  #bucketOf(limit: RateLimit, workers: number, old: Address | undefined): TokenBucket {
    const same = old?.spec.rateLimit?.perSecond === limit.perSecond && old.spec.rateLimit.burst === limit.burst;
    return same && old.bucket !== undefined ? old.bucket : new TokenBucket(limit, workers, this.#clock);
  }

  #moved(dispatch: Dispatch): void {
    const address = this.#addresses.get(dispatch.request.function);
    if (address === undefined) dispatch.fail(this.#unknown(dispatch.request.function));
    else address.group.takeOver(dispatch);
  }

  #submitHeld(held: Promise<void>, dispatch: Dispatch, { group, queueLimit }: Address): void {
    void held.then(() => {
      if (!dispatch.isDone) group.submit(dispatch, queueLimit);
    });
  }

  #unknown(name: string): CartonError {
    return new CartonError('CARTON_INGRESS_UNKNOWN_FUNCTION', { got: JSON.stringify(name), hint: didYouMean(name, [...this.#addresses.keys()]) });
  }
}
