/**
 * Turns a process into an instance: waits on its channel for the agent's `boot`, loads the functions, listens for
 * workers, and ends when it was drained, was abandoned, or failed to boot. The same code serves in a function process
 * and, for unit tests, inside the application's own process.
 */
import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { delay, settledWithin, type Clock, type Timer } from '../support/clock';
import { CartonError, toWire } from '../support/errors';
import { decodeControl, expectMocks, METHOD, type InstanceBoot, type ProcessBoot } from '../protocol/control';
import { BeginRecord } from '../rpc/begin_record';
import type { IncomingCall } from '../rpc/incoming_call';
import { acceptSession, listen, sameToken, type Accepted } from '../rpc/handshake';
import type { FunctionSpec } from '../spec/types';
import { AgentLink } from './agent_link';
import type { BootedApplication } from './application';
import type { Freshness } from './freshness';
import { fileOf, loadFunctions, type LoadedFunction } from './functions';
import { Instance } from './instance';
import { launchError } from './launch_error';
import type { OutputPrefix } from './output_prefix';

export interface ServeOptions {
  /** Connected to the agent; whoever holds its other end is trusted. */
  readonly channel: Duplex;
  readonly process: ProcessBoot;
  /** May still be booting. */
  readonly application: Promise<BootedApplication>;
  readonly clock: Clock;
  /** In development: what this process has loaded so far, recording. Undefined: nothing is ever loaded anew. */
  readonly freshness?: Freshness;
  /** In development: names what each function prints. */
  readonly output?: OutputPrefix;
  /** The instance has ended: leave the process, or forget it. `code` is an exit code. */
  readonly onEnd: (code: number) => void;
  /** What it is told otherwise on the channel, with the descriptor of its socket, which listens already. */
  readonly begun?: { readonly boot: InstanceBoot; readonly listener: number };
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
  /** The application could not be booted, long before anybody waited for it. */
  #failedAhead = false;
  #draining = false;
  /** While it drains. */
  #late: Timer | undefined;
  #ended = false;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#link = new AgentLink({
      clock: options.clock,
      onEvent: (method, payload) => this.#onEvent(method, payload),
      onCall: (call) => void this.#onCall(call),
      onAbandoned: () => this.drain(),
      load: () => this.#instance?.load ?? { inflight: 0, served: 0 },
    });
    options.application.then(
      () => options.freshness?.booted(),
      // Whoever booted ahead of time tells of it only once it is to become an instance.
      () => options.clock.after(TOLD_MS, () => (this.#failedAhead = true)),
    );
    acceptSession(options.channel, () => ({ welcome: {}, handlers: (session) => this.#link.attach(session) }), { limitMs: null });
    options.channel.once('close', () => this.#link.channelClosed());
    if (options.begun !== undefined) void this.#start(options.begun.boot);
  }

  drain(): void {
    this.#draining = true;
    if (this.#instance === undefined) return void this.#end(0);
    this.#late ??= this.#options.clock.after(this.#boot?.drainTimeoutMs ?? 0, () => void this.#end(0));
    this.#instance.drain();
  }

  #onEvent(method: number, payload: Buffer): void {
    switch (method) {
      case METHOD.boot:
        if (this.#boot !== undefined) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'one boot', got: 'another one' });
        return void this.#start(decodeControl(payload) as unknown as InstanceBoot);
      case METHOD.drain:
        return this.drain();
      case METHOD.reloadLogs:
        // An application that does not boot has no logs, and its error is told elsewhere.
        return void this.#options.application.then((application) => application.reloadLogs(), () => undefined);
      default:
        throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control event', got: `method ${method}` });
    }
  }

  /** The one call of an agent: mocks, which a test has to know in place before it goes on. */
  async #onCall(call: IncomingCall): Promise<void> {
    try {
      if (call.method !== METHOD.mock) throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control call', got: `method ${call.method}` });
      const mocks = expectMocks(decodeControl(call.payload));
      (await this.#options.application).setMocks(mocks);
      call.reply();
    } catch (error) {
      call.fail(toWire(error instanceof CartonError ? error : launchError(error, this.#options.process)));
    }
  }

  async #start(boot: InstanceBoot): Promise<void> {
    this.#boot = boot;
    this.#link.graceMs = boot.agentGraceMs;
    this.#options.onBoot?.(boot);
    // What failed ahead of time may have failed for the want of a file that is there by now.
    if (this.#failedAhead && this.#options.freshness !== undefined) return this.#retire(this.#options.process.application.baseDir);
    try {
      const application = await this.#options.application;
      if (this.#retiredAsStale()) return;
      if (boot.mocks.length > 0) application.setMocks(boot.mocks);
      await this.#serve(boot, application);
    } catch (error) {
      if (this.#retiredAsStale()) return;
      this.#link.failed({ error: toWire(launchError(error, this.#options.process)) });
      await this.#end(1);
    }
  }

  /** In development: the application was edited while it booted or waited, so another process is to serve. */
  #retiredAsStale(): boolean {
    const changed = this.#options.freshness?.changed();
    if (changed === undefined) return false;
    this.#retire(changed);
    return true;
  }

  #retire(file: string): void {
    this.#link.stale(file);
    void this.#end(0);
  }

  async #serve(boot: InstanceBoot, application: BootedApplication): Promise<void> {
    const functions = await this.#load(boot.functions, application);
    this.#record = new BeginRecord(boot.recordPath);
    const instance = new Instance({
      boot,
      application,
      functions,
      record: this.#record,
      clock: this.#options.clock,
      development: this.#options.process.development,
      freshness: this.#options.freshness,
      onLoad: () => this.#link.loadChanged(),
      onDrained: () => void this.#end(0),
      onStale: (file) => this.#link.stale(file),
    });
    this.#instance = instance;
    this.#listener = await listen(this.#options.begun?.listener ?? boot.socketPath, (token) => this.#authorize(token, boot, instance));
    if (this.#draining) return this.drain();
    this.#link.ready(instance.ready);
  }

  async #load(specs: readonly FunctionSpec[], application: BootedApplication): Promise<LoadedFunction[]> {
    const { freshness, output, process: { development, application: { baseDir } } } = this.#options;
    // By name, because `require` is not what loads an ES module, nor a file that is missing.
    for (const spec of specs) freshness?.note(fileOf(baseDir, spec));
    const functions = await loadFunctions(specs, { baseDir, development, output });
    for (const { spec, error } of functions) {
      if (error === undefined) continue;
      const tell = (): void => application.logger.error(`[${spec.name}] ${error.code} ${error.message}${error.thrown?.stack === undefined ? '' : `\n${error.thrown.stack}`}`);
      if (output === undefined) tell();
      else output.run(spec.name, tell);
    }
    return functions;
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
    this.#late?.cancel();
    this.#listener?.close();
    this.#record?.close();
    for (const path of [this.#boot?.socketPath, this.#boot?.recordPath]) if (path !== undefined) rmSync(path, { force: true });
    const closing = Promise.allSettled([this.#options.application.then((application) => application.close()), this.#answersTaken(), this.#link.told()]);
    await settledWithin(this.#options.clock, CLOSE_MS, closing);
    this.#link.close();
    this.#options.onEnd(code);
  }

  async #answersTaken(): Promise<void> {
    // What was answered in this turn is gathered, not yet written.
    await delay(this.#options.clock, 0);
    while ((this.#instance?.backlogBytes ?? 0) > 0) await delay(this.#options.clock, TAKEN_MS);
  }
}

/** Milliseconds between two looks at whether workers have taken the last answers. */
const TAKEN_MS = 5;
/** Milliseconds after a boot, which blocks, within which what came meanwhile has been read from the channel. */
const TOLD_MS = 500;
/** Milliseconds that the application's own `beforeClose` hooks and slow workers may take. */
const CLOSE_MS = 1000;
