/**
 * Turns a process into an instance: waits on its channel for the agent's `boot`, loads the functions, listens for
 * workers, and ends when it was drained, was abandoned, or failed to boot. The same code serves in a function process
 * and, for unit tests, inside the application's own process.
 */
import { unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { join } from 'node:path';
import type { Clock } from '../support/clock';
import { CartonError, toWire } from '../support/errors';
import { decodeControl, expectFields, METHOD, type InstanceBoot, type ProcessBoot, type ServiceMock } from '../protocol/control';
import { BeginRecord } from '../rpc/begin_record';
import { acceptSession, listen, sameToken, type Accepted } from '../rpc/handshake';
import { codeFile } from '../spec/code_file';
import { AgentLink } from './agent_link';
import type { BootedApplication } from './application';
import { Freshness } from './freshness';
import { loadFunctions } from './functions';
import { Instance } from './instance';
import { launchError } from './launch_error';

export interface ServeOptions {
  /** Connected to the agent; whoever holds its other end is trusted. */
  readonly channel: Duplex;
  readonly process: ProcessBoot;
  /** May still be booting. */
  readonly application: Promise<BootedApplication>;
  /** Epoch milliseconds at which the process began. */
  readonly startedAt: number;
  readonly clock: Clock;
  /** The instance has ended: leave the process, or forget it. `code` is an exit code. */
  readonly onEnd: (code: number) => void;
  /** Called once the instance is told whom it serves. */
  readonly onBoot?: (boot: InstanceBoot) => void;
}

/** Starts serving; `drain` ends it as a SIGTERM would. */
export function serveInstance(options: ServeOptions): { drain(): void } {
  const server = new InstanceServer(options);
  return { drain: () => server.drain() };
}

class InstanceServer {
  readonly #options: ServeOptions;
  readonly #link: AgentLink;
  #boot: InstanceBoot | undefined;
  #instance: Instance | undefined;
  #listener: Server | undefined;
  #record: BeginRecord | undefined;
  #draining = false;
  #ended = false;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#link = new AgentLink({
      clock: options.clock,
      onEvent: (method, payload) => this.#onEvent(method, payload),
      onAbandoned: () => this.drain(),
      load: () => this.#instance?.load ?? { inflight: 0, served: 0 },
    });
    // Whoever booted ahead of time hears of a failed boot only once it is to become an instance.
    options.application.catch(() => undefined);
    acceptSession(options.channel, () => ({ welcome: {}, handlers: (session) => this.#link.attach(session) }));
  }

  drain(): void {
    this.#draining = true;
    if (this.#instance === undefined) return void this.#end(0);
    this.#instance.drain();
    this.#options.clock.after(this.#boot?.drainTimeoutMs ?? 0, () => void this.#end(0));
  }

  #onEvent(method: number, payload: Buffer): void {
    switch (method) {
      case METHOD.boot:
        return void this.#start(decodeControl(payload) as unknown as InstanceBoot);
      case METHOD.drain:
        return this.drain();
      case METHOD.reloadLogs:
        return void this.#options.application.then((application) => application.reloadLogs());
      case METHOD.mock:
        return void this.#mock(expectFields<{ mocks: ServiceMock[] }>(decodeControl(payload), { mocks: 'object' }).mocks);
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control event', got: `method ${method}` });
    }
  }

  async #mock(mocks: readonly ServiceMock[]): Promise<void> {
    (await this.#options.application).setMocks(mocks);
  }

  async #start(boot: InstanceBoot): Promise<void> {
    this.#boot = boot;
    this.#link.graceMs = boot.agentGraceMs;
    this.#options.onBoot?.(boot);
    try {
      const application = await this.#options.application;
      if (boot.mocks.length > 0) application.setMocks(boot.mocks);
      await this.#serve(boot, application);
    } catch (error) {
      this.#link.failed({ error: toWire(launchError(error, this.#options.process)) });
      await this.#end(1);
    }
  }

  async #serve(boot: InstanceBoot, application: BootedApplication): Promise<void> {
    const { development, application: descriptor } = this.#options.process;
    const functions = await loadFunctions(descriptor.baseDir, boot.functions, development);
    const files = boot.functions.map(({ file }) => codeFile(join(descriptor.baseDir, file)) ?? join(descriptor.baseDir, file));
    this.#record = new BeginRecord(boot.recordPath);
    const instance = new Instance({
      boot,
      application,
      functions,
      record: this.#record,
      clock: this.#options.clock,
      freshness: development ? new Freshness(descriptor.baseDir, files, this.#options.startedAt) : undefined,
      onLoad: () => this.#link.loadChanged(),
      onDrained: () => void this.#end(0),
      onStale: (file) => this.#link.stale(file),
    });
    this.#instance = instance;
    this.#listener = await listen(boot.socketPath, (token) => this.#authorize(token, boot, instance));
    if (this.#draining) return this.drain();
    this.#link.ready(instance.ready);
  }

  /** Rights follow the token: a worker's opens invocations, an agent's opens control. */
  #authorize(token: string, boot: InstanceBoot, instance: Instance): Accepted | undefined {
    if (sameToken(token, boot.callToken)) {
      const { slot, handlers } = instance.openSession();
      return { welcome: { slot }, handlers };
    }
    if (!sameToken(token, boot.controlToken)) return undefined;
    return {
      welcome: {},
      handlers: (session) => {
        const handlers = this.#link.attach(session);
        this.#link.ready(instance.ready);
        return handlers;
      },
    };
  }

  async #end(code: number): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener?.close();
    this.#record?.close();
    for (const path of [this.#boot?.socketPath, this.#boot?.recordPath]) if (path !== undefined) removeFile(path);
    const closing = this.#options.application.then((application) => application.close());
    await Promise.race([closing, new Promise<void>((resolve) => void this.#options.clock.after(CLOSE_MS, resolve))]).catch(() => undefined);
    this.#link.close();
    this.#options.onEnd(code);
  }
}

/** Milliseconds that the application's own `beforeClose` hooks may take. */
const CLOSE_MS = 1000;

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
