/**
 * A worker's line to the scheduler in the agent: receives functions and instances, reports demand. While the agent is
 * away, the worker serves from what it heard last and keeps trying.
 */
import type { Clock, Timer } from '../support/clock';
import { CartonError, describe } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import type { HostDirectory } from '../support/host_directory';
import { LIMITS } from '../support/limits';
import {
  decodeControl, encodeControl, expectFields, METHOD,
  type Demand, type GroupRefused, type InstanceLost, type InstancesPush, type SpecsPush,
} from '../protocol/control';
import { readWireError } from '../protocol/wire_error';
import { connectSession } from '../rpc/handshake';
import type { Session } from '../rpc/session';

const FIRST_RETRY_MS = 25;
const LAST_RETRY_MS = 400;
/** Milliseconds between two reports of a group's demand that has only grown. */
const REPORT_MS = 20;

export interface SchedulerListener {
  onSpecs(push: SpecsPush): void;
  onInstances(push: InstancesPush): void;
  onRefused(refused: GroupRefused): void;
  /** Demand of all groups that have any: the agent is new and knows nothing of it. */
  allDemand(): Demand[];
}

export class SchedulerLink {
  readonly #directory: HostDirectory;
  readonly #clock: Clock;
  readonly #log: HostLog;
  readonly #listener: SchedulerListener;
  readonly #pending = new Map<string, Demand>();
  #session: Session | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retry: Timer | undefined;
  #report: Timer | undefined;
  #soon: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(directory: HostDirectory, clock: Clock, log: HostLog, listener: SchedulerListener) {
    this.#directory = directory;
    this.#clock = clock;
    this.#log = log;
    this.#listener = listener;
  }

  get isConnected(): boolean {
    return this.#session !== undefined;
  }

  /** Connects, and again whenever the agent comes back. */
  connect(): void {
    if (this.#closed) return;
    if (!this.#directory.exists) return this.#again();
    const opened = connectSession(this.#directory.agentSocket, this.#directory.token('worker'), (session) => {
      this.#session = session;
      for (const demand of this.#listener.allDemand()) this.#send(METHOD.demand, demand);
      return { limitBytes: LIMITS.controlMessageBytes, onEvent: (method, payload) => this.#onEvent(method, payload), onClosed: () => this.#lost(session) };
    });
    opened.then((session) => { if (this.#closed) session.close(); }, () => this.#again());
  }

  /** Reports demand: what begins or ends to wait at once, what only grows at most every 20 ms. */
  demand(demand: Demand): void {
    this.#pending.set(demand.group, demand);
    if (demand.waiting <= 1) this.#soon ??= setImmediate(() => this.#reportAll());
    else this.#report ??= this.#clock.after(REPORT_MS, () => this.#reportAll());
  }

  lost(lost: InstanceLost): void {
    this.#send(METHOD.lost, lost);
  }

  /** Asks the agent and waits for its answer. Rejects with `CARTON_RPC_CLOSED` where there is no agent. */
  async request(method: number, message: unknown): Promise<Record<string, unknown>> {
    if (this.#session === undefined) throw new CartonError('CARTON_RPC_CLOSED');
    return decodeControl(await this.#session.request(method, encodeControl(message)));
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#cancelReports();
    this.#session?.close();
  }

  #reportAll(): void {
    this.#cancelReports();
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const demand of all) this.#send(METHOD.demand, demand);
  }

  #cancelReports(): void {
    this.#report?.cancel();
    clearImmediate(this.#soon);
    this.#report = undefined;
    this.#soon = undefined;
  }

  #onEvent(method: number, payload: Buffer): void {
    const message = decodeControl(payload);
    switch (method) {
      case METHOD.specs:
        // Only now is it known that both sides understand each other: until then, tries come at growing intervals.
        this.#retryMs = FIRST_RETRY_MS;
        return this.#listener.onSpecs(expectFields<SpecsPush>(message, { functions: 'array', groups: 'array', instances: 'array', workers: 'count' }));
      case METHOD.instances:
        return this.#listener.onInstances(expectFields<InstancesPush>(message, { group: 'string', instances: 'array' }));
      case METHOD.refused:
        return this.#listener.onRefused({ ...expectFields<GroupRefused>(message, { group: 'string', forMs: 'number' }), error: readWireError(message['error']) });
      default:
        this.#log.debug(`the agent sent a message that this version does not know: ${method}`);
    }
  }

  #send(method: number, message: unknown): void {
    this.#session?.event(method, encodeControl(message));
  }

  #lost(session: Session): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    // Once per outage: a session that closes before it has told anything is a part of the same one.
    if (!this.#closed && this.#retryMs === FIRST_RETRY_MS) this.#log.warn('the scheduler is away; live functions are served meanwhile');
    this.#again();
  }

  #again(): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#retry = this.#clock.after(this.#retryMs, () => {
      this.#retry = undefined;
      try {
        this.connect();
      } catch (error) {
        this.#log.warn(`the scheduler cannot be reached: ${describe(error)}`);
        this.#again();
      }
    });
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }
}
