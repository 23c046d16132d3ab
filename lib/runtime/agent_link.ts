/**
 * An instance's line to the agent: the channel it was launched with, and after the agent's death the session of the
 * agent that adopts it. Without an agent it serves on for `graceMs` and then says that nobody came.
 */
import type { Clock, Timer } from '../support/clock';
import { encodeControl, METHOD, type InstanceFailed, type InstanceLoad, type InstanceReady } from '../protocol/control';
import type { IncomingCall } from '../rpc/incoming_call';
import { LIMITS } from '../support/limits';
import type { Session, SessionHandlers } from '../rpc/session';

/** Milliseconds between two reports of load: idle times are counted in seconds, so this is fine enough. */
const LOAD_REPORT_MS = 100;

export interface AgentLinkOptions {
  readonly clock: Clock;
  /** A control event from the agent. */
  readonly onEvent: (method: number, payload: Buffer) => void;
  /** What the agent wants an answer to. */
  readonly onCall: (call: IncomingCall) => void;
  /** No agent came back within the grace. */
  readonly onAbandoned: () => void;
  readonly load: () => InstanceLoad;
}

export class AgentLink {
  readonly #options: AgentLinkOptions;
  /** Milliseconds to wait for another agent; known once the instance was told whom it serves. */
  graceMs = 0;
  #session: Session | undefined;
  #wasAttached = false;
  #grace: Timer | undefined;
  #report: Timer | undefined;
  /** What was to be told before the agent's session had opened. */
  readonly #early: [method: number, message: unknown][] = [];
  #onTold: () => void = () => undefined;
  #reported: InstanceLoad = { inflight: 0, served: 0 };

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  /** Takes `session` as the agent's; the newest one wins. */
  attach(session: Session): SessionHandlers {
    this.#session = session;
    this.#wasAttached = true;
    this.#grace?.cancel();
    this.#grace = undefined;
    for (const [method, message] of this.#early.splice(0)) this.#send(method, message);
    this.#onTold();
    return {
      limitBytes: LIMITS.controlMessageBytes,
      onEvent: this.#options.onEvent,
      onCall: this.#options.onCall,
      onClosed: () => {
        if (this.#session === session) this.#orphaned();
      },
    };
  }

  /** The channel has closed. Before an agent has said anything, nobody knows of this instance but by its socket. */
  channelClosed(): void {
    if (!this.#wasAttached) this.#orphaned();
  }

  /** Resolves once nothing waits for the agent's session to open: what is said last must not get lost. */
  told(): Promise<void> {
    return this.#early.length === 0 ? Promise.resolve() : new Promise((resolve) => (this.#onTold = resolve));
  }

  ready(message: InstanceReady): void {
    this.#send(METHOD.ready, message);
  }

  failed(message: InstanceFailed): void {
    this.#send(METHOD.failed, message);
  }

  stale(file: string): void {
    this.#send(METHOD.stale, { file });
  }

  /** Reports the load soon, once for all changes until then. */
  loadChanged(): void {
    this.#report ??= this.#options.clock.after(LOAD_REPORT_MS, () => {
      this.#report = undefined;
      const load = this.#options.load();
      if (load.inflight === this.#reported.inflight && load.served === this.#reported.served) return;
      this.#reported = load;
      this.#send(METHOD.load, load);
    });
  }

  close(): void {
    this.#grace?.cancel();
    this.#report?.cancel();
    const session = this.#session;
    this.#session = undefined;
    session?.close();
  }

  #orphaned(): void {
    this.#session = undefined;
    this.#grace = this.#options.clock.after(this.graceMs, this.#options.onAbandoned);
  }

  #send(method: number, message: unknown): void {
    if (this.#session === undefined && !this.#wasAttached) return void this.#early.push([method, message]);
    this.#session?.event(method, encodeControl(message));
    this.#session?.flush();
  }
}
