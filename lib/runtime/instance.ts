/**
 * An instance: a booted application that runs the functions of one group for the workers of its host. It is what a
 * sandbox becomes once it has been told whom it serves; it knows neither Egg nor how its process came to be.
 *
 * Guarantees, each with a test that names it:
 * 1. Never more than `concurrency` invocations at once; one more is refused (nack) before anything began, and whoever
 *    was refused is told when a place is free.
 * 2. Before a function is called, the begin record says so.
 * 3. Draining, it refuses new invocations, finishes what runs, and then says that it is done.
 */
import type { Clock } from '../support/clock';
import { CartonError, describe } from '../support/errors';
import { METHOD, type InstanceBoot, type InstanceLoad, type InstanceReady } from '../protocol/control';
import { NACK } from '../protocol/frame';
import { InvokePayload } from '../protocol/invocation';
import type { BeginRecord } from '../rpc/begin_record';
import type { IncomingCall } from '../rpc/incoming_call';
import type { Session, SessionHandlers } from '../rpc/session';
import type { BootedApplication, FunctionLogger } from './application';
import type { Freshness } from './freshness';
import type { LoadedFunction } from './functions';
import { Invocation, type InvocationHost } from './invocation';

export interface InstanceOptions {
  readonly boot: InstanceBoot;
  readonly application: BootedApplication;
  readonly functions: readonly LoadedFunction[];
  readonly record: BeginRecord;
  readonly clock: Clock;
  /** Errors show their stack, and what fails to load is not kept. */
  readonly development: boolean;
  /** In development: checked before each invocation. */
  readonly freshness: Freshness | undefined;
  /** `load` has changed. */
  readonly onLoad: () => void;
  /** Everything that ran has ended and nothing new is taken. */
  readonly onDrained: () => void;
  /** A loaded file has changed, or did not load: this instance takes no more. */
  readonly onStale: (file: string) => void;
}

export class Instance implements InvocationHost {
  readonly application: BootedApplication;
  readonly revision: string;
  readonly development: boolean;
  readonly clock: Clock;
  readonly #options: InstanceOptions;
  readonly #concurrency: number;
  readonly #slots = new Map<Session, number>();
  /** Sessions that were refused since they were last told of a free place. */
  readonly #refused = new Set<Session>();
  #nextSlot = 0;
  #inflight = 0;
  #background = 0;
  #served = 0;
  #draining = false;
  #drained = false;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.application = options.application;
    this.revision = options.boot.revision;
    this.development = options.development;
    this.clock = options.clock;
    this.#concurrency = options.boot.group.concurrency;
  }

  get load(): InstanceLoad {
    return { inflight: this.#inflight + this.#background, served: this.#served };
  }

  get ready(): InstanceReady {
    const { id, group } = this.#options.boot;
    return { id, pid: process.pid, group: group.key, revision: this.revision, draining: this.#draining, ...this.load };
  }

  /** Bytes of answers that no worker has taken yet: to leave now would lose them. */
  get backlogBytes(): number {
    let bytes = 0;
    for (const session of this.#slots.keys()) bytes += session.backlogBytes;
    return bytes;
  }

  /** A worker's session: its slot in the begin record, and what it may do. */
  openSession(): { slot: number; handlers: (session: Session) => SessionHandlers } {
    const slot = this.#nextSlot++;
    const handlers = (session: Session): SessionHandlers => {
      this.#slots.set(session, slot);
      return {
        onCall: (call) => this.#onCall(call),
        onClosed: () => {
          this.#slots.delete(session);
          this.#refused.delete(session);
        },
      };
    };
    return { slot, handlers };
  }

  /** Takes nothing new from now on; `onDrained` follows once nothing runs. */
  drain(): void {
    this.#draining = true;
    this.#checkDrained();
  }

  markBegun(call: IncomingCall): void {
    this.#served += 1;
    if (call.bodyFollows) {
      const id = Buffer.alloc(4);
      id.writeUInt32LE(call.id);
      call.session.event(METHOD.begun, id);
      call.session.flush();
      return;
    }
    this.#options.record.begun(this.#slots.get(call.session) ?? 0, call.id);
  }

  ended(): void {
    this.#inflight -= 1;
    this.#options.onLoad();
    for (const session of this.#refused) session.event(METHOD.free, Buffer.alloc(0));
    this.#refused.clear();
    this.#checkDrained();
  }

  waitUntil(work: Promise<unknown>, logger: FunctionLogger): void {
    this.#background += 1;
    Promise.resolve(work)
      .catch((error: unknown) => logger.error(`waitUntil: ${describe(error)}`))
      .finally(() => {
        this.#background -= 1;
        this.#options.onLoad();
        this.#checkDrained();
      });
  }

  #onCall(call: IncomingCall): void {
    if (call.method !== METHOD.invoke) {
      throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an invocation', got: `method ${call.method}` });
    }
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#refused.add(call.session);
      call.nack(refusal);
      // A refusal must be out before the begin record passes it, or the call would look begun after a crash.
      return call.session.flush();
    }
    const payload = new InvokePayload(call.payload);
    const loaded = this.#options.functions[payload.functionIndex];
    if (loaded === undefined) {
      throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a function of this group', got: `index ${payload.functionIndex}` });
    }
    this.#inflight += 1;
    this.#options.onLoad();
    new Invocation(this, call, payload, loaded).start();
    // Its load error is the answer; whatever it was that failed may be there at the next request, so nobody gets it twice.
    if (this.development && loaded.call === undefined) this.#retire(loaded.spec.file);
  }

  #refusal(): number | undefined {
    if (this.#draining) return NACK.draining;
    if (this.#inflight >= this.#concurrency) return NACK.busy;
    const changed = this.#options.freshness?.changed();
    if (changed === undefined) return undefined;
    this.#retire(changed);
    return NACK.stale;
  }

  #retire(file: string): void {
    this.#options.onStale(file);
    this.drain();
  }

  #checkDrained(): void {
    if (!this.#draining || this.#drained || this.#inflight > 0 || this.#background > 0) return;
    this.#drained = true;
    this.#options.onDrained();
  }
}
