/**
 * Brings the requests of one group to its instances: to the one with the least of this worker's requests on it, else
 * they wait, first come first served, while the scheduler is told how many do.
 */
import type { Clock, Timer } from '../support/clock';
import { CartonError, fromWire, type WireError } from '../support/errors';
import type { Demand, InstanceAddress, InstanceLost } from '../protocol/control';
import type { GroupSpec } from '../spec/types';
import type { Dispatch } from './dispatch';
import { InstanceLink, type LinkListener } from './instance_link';
import { WaitQueue } from './wait_queue';

/** Milliseconds after which an instance that closed this worker's session is tried again, if it is still listed. */
const RECONNECT_MS = 250;
/** Milliseconds between two reports that instances have come to rest: a busy function does so often. */
const IDLE_REPORT_MS = 200;
/** What a caller is told to wait when a queue is full. */
const QUEUE_RETRY_MS = 1000;

export interface GroupOptions {
  readonly clock: Clock;
  readonly demand: (demand: Demand) => void;
  readonly lost: (lost: InstanceLost) => void;
  /** Whether the scheduler hears of the demand. */
  readonly hasScheduler: () => boolean;
  /** Takes over a request whose function is not this group's any more. */
  readonly moved: (dispatch: Dispatch) => void;
}

export class GroupDispatcher implements LinkListener {
  readonly clock: Clock;
  readonly #options: GroupOptions;
  readonly #links = new Map<string, InstanceLink>();
  readonly #queue = new WaitQueue();
  #spec: GroupSpec;
  #addresses = new Map<string, InstanceAddress>();
  #refusedUntil = 0;
  #closed = false;
  #idleReport: Timer | undefined;
  #refusal: WireError | undefined;

  constructor(spec: GroupSpec, options: GroupOptions) {
    this.#spec = spec;
    this.#options = options;
    this.clock = options.clock;
  }

  get demand(): Demand {
    let inflight = 0;
    for (const link of this.#links.values()) inflight += link.inflight;
    return { group: this.#spec.key, waiting: this.#queue.size, inflight };
  }

  setSpec(spec: GroupSpec): void {
    this.#spec = spec;
  }

  /** The specs have no such group any more. */
  disown(): void {
    this.#spec = { ...this.#spec, functions: [] };
  }

  /** After a change of the specs: hands over what waits here for a function that is not the group's any more. */
  handOver(): void {
    if (this.#queue.size === 0) return;
    const waiting = this.#queue.clear();
    for (const dispatch of waiting) if (this.#owns(dispatch)) this.#queue.push(dispatch);
    for (const dispatch of waiting) if (!this.#owns(dispatch)) this.#options.moved(dispatch);
    this.#options.demand(this.demand);
  }

  /** Lets a request wait here that waited elsewhere before; it counts towards no limit a second time. */
  takeOver(dispatch: Dispatch): void {
    dispatch.moveTo(this);
    this.tryAgain(dispatch);
  }

  /** The error with which the scheduler wants requests refused now, or undefined. */
  get refusal(): CartonError | undefined {
    if (this.#refusal === undefined || this.clock.now() >= this.#refusedUntil) return undefined;
    return fromWire({ ...this.#refusal, retryAfterMs: Math.ceil(this.#refusedUntil - this.clock.now()) });
  }

  /** Places the request or lets it wait. `queueLimit`: how many of its function may wait in this worker. */
  submit(dispatch: Dispatch, queueLimit: number): void {
    if (this.#queue.size === 0) {
      const link = this.#pick();
      if (link !== undefined) return this.#place(dispatch, link);
    }
    if (this.#queue.sizeOf(dispatch.spec.name) >= queueLimit) {
      return dispatch.fail(
        new CartonError('CARTON_INGRESS_QUEUE_FULL', {
          of: `function "${dispatch.spec.name}"`,
          expected: `at most ${queueLimit} waiting in this worker`,
          retryAfterMs: QUEUE_RETRY_MS,
        }),
      );
    }
    dispatch.waited = true;
    this.#queue.push(dispatch);
    this.#seekRoom();
  }

  /** A placed request came back before it began. */
  tryAgain(dispatch: Dispatch): void {
    if (dispatch.isDone) return;
    if (this.#closed) return dispatch.fail(closingError(dispatch));
    if (dispatch.isExpired) return dispatch.fail(this.deadlineError(dispatch));
    if (!this.#owns(dispatch)) return this.#options.moved(dispatch);
    dispatch.waited = true;
    this.#queue.unshift(dispatch);
    this.#pump();
    if (this.#queue.size > 0) this.#seekRoom();
  }

  /** It waits no more. */
  forget(dispatch: Dispatch): void {
    if (this.#queue.delete(dispatch)) this.#options.demand(this.demand);
  }

  /** Why a request that never found a place failed. */
  deadlineError(dispatch: Dispatch): CartonError {
    const of = `function "${dispatch.spec.name}"`;
    const expected = `an instance within ${dispatch.spec.timeoutMs} ms`;
    if (!this.#options.hasScheduler()) return new CartonError('CARTON_SCHEDULER_UNAVAILABLE', { of, expected, retryAfterMs: QUEUE_RETRY_MS });
    return new CartonError('CARTON_RUNTIME_TIMEOUT', { of, expected, got: 'none with a free place' });
  }

  setInstances(addresses: readonly InstanceAddress[]): void {
    this.#addresses = new Map(addresses.map((address) => [address.id, address]));
    for (const [id, link] of this.#links) {
      if (this.#addresses.has(id)) continue;
      // Sessions of instances that are no longer listed stay open for what runs on them; the instance closes them.
      link.retire();
      if (link.inflight > 0) continue;
      link.close();
      this.#links.delete(id);
    }
    // One that is listed again, as after a change of agents, gets a new session; the old one ends with what runs on it.
    for (const address of addresses) if (this.#links.get(address.id)?.isRetired ?? true) this.#addLink(address);
    if (addresses.length > 0) this.#refusal = undefined;
    this.#pump();
    if (this.#queue.size > 0) this.#seekRoom();
  }

  /** Fails all that wait, and what arrives within `forMs`. */
  refuse(error: WireError, forMs: number): void {
    this.#refusal = error;
    this.#refusedUntil = this.clock.now() + forMs;
    for (const dispatch of this.#queue.clear()) dispatch.fail(fromWire(error));
    this.#options.demand(this.demand);
  }

  /** Without this the scheduler would count what ran last for ever, and reclaim nothing. */
  onIdle(): void {
    this.#idleReport ??= this.clock.after(IDLE_REPORT_MS, () => {
      this.#idleReport = undefined;
      this.#options.demand(this.demand);
    });
  }

  onRoom(): void {
    this.#pump();
  }

  onLost(link: InstanceLink, reason: 'closed' | 'unresponsive' | 'stale' | 'draining'): void {
    this.#options.lost({ id: link.address.id, reason });
    if (reason === 'closed') this.clock.after(RECONNECT_MS, () => this.#relink(link));
    if (this.#queue.size > 0) this.#seekRoom();
  }

  /** What runs on the links and has not begun comes back here, and is refused like what waits. */
  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    for (const dispatch of this.#queue.clear()) dispatch.fail(closingError(dispatch));
  }

  #owns(dispatch: Dispatch): boolean {
    return this.#spec.functions.includes(dispatch.request.function);
  }

  #relink(old: InstanceLink): void {
    const { id } = old.address;
    const address = this.#addresses.get(id);
    if (address === undefined || this.#links.get(id) !== old) return;
    this.#addLink(address);
    if (this.#queue.size > 0) this.#seekRoom();
  }

  #addLink(address: InstanceAddress): void {
    this.#links.set(address.id, new InstanceLink(address, this.#spec.concurrency, this));
  }

  /** The least busy instance with room. There are few instances per group, so a scan is the fastest way. */
  #pick(): InstanceLink | undefined {
    let best: InstanceLink | undefined;
    for (const link of this.#links.values()) {
      if (link.hasRoom && (best === undefined || link.inflight < best.inflight)) best = link;
    }
    return best;
  }

  #pump(): void {
    if (this.#queue.size === 0) return;
    for (let link = this.#pick(); link !== undefined; link = this.#pick()) {
      const dispatch = this.#queue.shift();
      if (dispatch === undefined) break;
      this.#place(dispatch, link);
    }
    this.#options.demand(this.demand);
  }

  #place(dispatch: Dispatch, link: InstanceLink): void {
    try {
      dispatch.place(link, this.#spec.functions.indexOf(dispatch.request.function));
    } catch (error) {
      // The session has just closed or is at its limit of calls: nothing was sent.
      dispatch.fail(error instanceof CartonError ? error : new CartonError('CARTON_RPC_CLOSED', { cause: error }));
    }
  }

  /** Uses listed instances that no session was opened to yet, and tells the scheduler who waits. */
  #seekRoom(): void {
    for (const link of this.#links.values()) link.connect();
    this.#options.demand(this.demand);
  }
}

function closingError(dispatch: Dispatch): CartonError {
  return new CartonError('CARTON_INGRESS_CLOSING', { of: `function "${dispatch.spec.name}"`, retryAfterMs: QUEUE_RETRY_MS });
}
