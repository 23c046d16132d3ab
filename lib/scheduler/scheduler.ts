/**
 * The scheduler: carries out what `decide` wants, and feeds back what becomes of it. It runs in the agent, or in the
 * one process of single mode, and knows a `HostEnvironment` instead of Egg.
 *
 * Guarantees, each with a test that names it:
 * 1. Whatever happens, `decide` is asked once more after it, in the same turn of the event loop (load reports: at its end).
 * 2. An instance is told to workers only while it is ready, or while connections to it wait until it is.
 * 3. Instances of a former agent are adopted before the first worker is served.
 * 4. `close` ends every instance, at the latest after `drainTimeoutMs`, and removes the host's directory.
 */
import { rmSync, statSync } from 'node:fs';
import type { Server } from 'node:net';
import { sep } from 'node:path';
import { CartonError, codeOf, describe, toWire, type WireError } from '../support/errors';
import { delay, type Timer } from '../support/clock';
import { HostDirectory } from '../support/host_directory';
import type { HostEnvironment } from '../support/host_environment';
import { isAlive, watchHost } from '../support/host_process';
import type { Demand, InstanceBoot, InstanceLoad, InstanceLost, InstanceReady, InstancesPush, MocksChange, ServiceMock, SpecsPush } from '../protocol/control';
import { listen, sameToken } from '../rpc/handshake';
import type { Launcher, LauncherStatus, Sandbox } from '../sandbox/launcher';
import type { Revision } from '../spec/types';
import { Adoption } from './adopt';
import { addressOnly, bootOf } from './boot';
import { decide } from './decide';
import { LiveInstance, type InstanceListener } from './live_instance';
import { noteProcess } from './note_process';
import { RevisionReader } from './revision_reader';
import type { SidecarStatus } from './sidecar_keeper';
import type { Action, OwnedHostState, TerminateReason } from './state';
import {
  becameReady, closing, demandChanged, drainStarted, ended, filesChanged, initialState, launched, loadReported,
  markUnresponsive, refused, retired, setGroups, terminateStarted, adopted,
} from './transitions';
import { WorkerSessions, type WorkerListener } from './worker_sessions';

export interface SchedulerOptions {
  readonly environment: HostEnvironment;
  readonly launcher: Launcher;
  /** Reads the application's functions as they are on disk now. */
  readonly loadRevision: (fresh: boolean) => Promise<Revision>;
  /** Those of the host, for people. @default none */
  readonly sidecars?: () => readonly SidecarStatus[];
}

/** Rounds of deciding and doing in one turn; one is enough, more would mean that they disagree. */
const MAX_ROUNDS = 8;

export class Scheduler implements InstanceListener, WorkerListener {
  readonly #options: SchedulerOptions;
  readonly #directory: HostDirectory;
  readonly #state: OwnedHostState;
  readonly #live = new Map<string, LiveInstance>();
  readonly #workers: WorkerSessions;
  readonly #reader: RevisionReader;
  readonly #adoption: Adoption;
  #revision: Revision | undefined;
  #mocks: readonly ServiceMock[] = [];
  #server: Server | undefined;
  #wake: Timer | undefined;
  #epoch = 0;
  #count = 0;
  #lifeline: Timer | undefined;
  #soon: NodeJS.Immediate | undefined;
  #onEmpty: (() => void) | undefined;
  #closed = false;

  constructor(options: SchedulerOptions) {
    const { application, config, hostProcess, development, log } = options.environment;
    this.#options = options;
    this.#directory = new HostDirectory(config.directory, hostProcess, application.baseDir);
    this.#state = initialState({ ...config, development });
    this.#workers = new WorkerSessions(this, log);
    this.#reader = new RevisionReader({
      load: () => options.loadRevision(true),
      onRevision: (revision) => this.#revisionRead(revision),
      clock: options.environment.clock,
      log,
    });
    this.#adoption = new Adoption({
      directory: this.#directory,
      clock: options.environment.clock,
      log,
      listener: this,
      isKnown: (id) => this.#state.instances.has(id),
      take: (instance, ready) => this.#adopted(instance, ready),
    });
  }

  get directory(): HostDirectory {
    return this.#directory;
  }

  get revision(): Revision | undefined {
    return this.#revision;
  }

  /** How instances come to be at the moment, and why not faster. */
  get launcher(): LauncherStatus {
    return this.#options.launcher.status;
  }

  get sidecars(): readonly SidecarStatus[] {
    return this.#options.sidecars?.() ?? [];
  }

  /** Loads the functions, adopts what lives, and serves the workers. Rejects with what is wrong with the specs. */
  async start(): Promise<void> {
    this.#setRevision(await this.#options.loadRevision(false));
    this.#directory.create();
    this.#directory.sweep();
    this.#epoch = this.#directory.nextEpoch();
    const { clock, config, hostProcess } = this.#options.environment;
    this.#lifeline = watchHost(hostProcess, clock, () => this.#hostGone());
    await Promise.race([this.#adoption.look(), delay(clock, ADOPT_MS)]);
    if (this.#epoch > 1) this.#adoption.watch(config.agentGraceMs + config.drainTimeoutMs);
    rmSync(this.#directory.agentSocket, { force: true });
    const token = this.#directory.token('worker');
    this.#server = await listen(this.#directory.agentSocket, (given) =>
      sameToken(given, token) ? { welcome: { epoch: this.#epoch }, handlers: (session) => this.#workers.add(session) } : undefined,
    );
    this.#turn();
  }

  /** In development: all is up and nobody waits, so the launcher may boot ahead of the first request. */
  hostReady(): void {
    this.#options.launcher.replenish();
  }

  /** In development: a file of the application was changed. */
  async fileChanged(path: string): Promise<void> {
    const { application, config } = this.#options.environment;
    const functions = application.baseDir + sep + config.functionDirectory.replaceAll('/', sep) + sep;
    // What boots ahead has not loaded any function; one that is gone changed now at the latest.
    if (!path.startsWith(functions)) this.#options.launcher.refresh(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    filesChanged(this.#state);
    await this.refreshSpecs();
  }

  reloadLogs(): void {
    for (const instance of this.#live.values()) instance.reloadLogs();
  }

  /** Drains all instances, ends those that do not finish in time, and cleans up. `closeOthers` ends what instances may need to the last. */
  async close(closeOthers: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    closing(this.#state);
    this.#adoption.stop();
    this.#lifeline?.cancel();
    if (isAlive(this.#options.environment.hostProcess)) this.#turn();
    else this.#hostGone();
    if (this.#state.instances.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    this.#closed = true;
    this.#wake?.cancel();
    await Promise.all([this.#options.launcher.close(), closeOthers()]);
    this.#workers.close();
    this.#server?.close();
    this.#directory.remove();
  }

  onReady(instance: LiveInstance): void {
    becameReady(this.#state, instance.address.id, this.#now);
    this.#pushInstances(instance.group);
    this.#turn();
    this.#replenish();
  }

  onLoad(instance: LiveInstance, load: InstanceLoad): void {
    loadReported(this.#state, { id: instance.address.id, ...load }, this.#now);
    // Busy hosts hear hundreds of these a second: one decision serves all that come in one turn.
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#turn();
    });
  }

  onStale(instance: LiveInstance, file: string): void {
    this.#options.environment.log.debug(`${instance.group}: ${file} has changed`);
    retired(this.#state, instance.address.id, this.#now);
    this.#pushInstances(instance.group);
    void this.fileChanged(file);
    this.#turn();
  }

  onEnded(instance: LiveInstance, end: { failure?: WireError; bySignal: boolean; served: number }): void {
    const { id } = instance.address;
    const phase = this.#state.instances.get(id)?.phase;
    this.#live.delete(id);
    this.#directory.removeInstance(id);
    if (phase === 'launching' || phase === 'ready') this.#reportEnd(instance, end);
    ended(this.#state, { id, ...end }, this.#now);
    this.#pushInstances(instance.group);
    this.#turn();
    this.#replenish();
    this.#checkEmpty();
  }

  onDemand(demand: Demand): void {
    demandChanged(this.#state, demand, this.#now);
    this.#turn();
  }

  onLost(lost: InstanceLost): void {
    // That a session closed shows here, too; a stale instance says so itself.
    if (lost.reason === 'unresponsive') markUnresponsive(this.#state, lost.id);
    // Somebody else told it to end, with a signal: it takes nothing new, so it must not stand in for one that does.
    else if (lost.reason === 'draining') retired(this.#state, lost.id, this.#now);
    else return;
    this.#turn();
  }

  onWorkers(): void {
    this.#pushSpecs();
  }

  /** In development: looks at the functions and their specs again. Never rejects. */
  refreshSpecs(): Promise<void> {
    return this.#reader.look();
  }

  #revisionRead(next: Revision): void {
    if (next.revision === this.#revision?.revision) return;
    this.#setRevision(next);
    this.#pushSpecs();
    this.#turn();
  }

  /** For tests. Resolves once all instances have the mocks; rejects with what one of them does not know. */
  async setMocks({ mocks, keep }: MocksChange): Promise<void> {
    const before = this.#mocks;
    const kept = before.filter((old) => keep && !mocks.some((mock) => mock.service === old.service && mock.method === old.method));
    this.#mocks = [...kept, ...mocks];
    const done = await Promise.allSettled([...this.#live.values()].map((instance) => instance.setMocks(this.#mocks)));
    // An instance that has ended meanwhile needs none.
    const failed = done.find((result) => result.status === 'rejected' && codeOf(result.reason) !== 'CARTON_RPC_CLOSED');
    if (failed?.status !== 'rejected') return;
    // What one instance does not know, none can be launched with.
    this.#mocks = before;
    throw failed.reason as CartonError;
  }

  get #now(): number {
    return this.#options.environment.clock.now();
  }

  #setRevision(revision: Revision): void {
    this.#revision = revision;
    setGroups(this.#state, revision);
    // A group that is new to the state may be one that workers wait for already.
    for (const demand of this.#workers.totals(revision.groups)) demandChanged(this.#state, demand, this.#now);
  }

  #checkEmpty(): void {
    if (this.#state.instances.size === 0) this.#onEmpty?.();
  }

  #reportEnd(instance: LiveInstance, end: { failure?: WireError; bySignal: boolean }): void {
    const how = end.failure?.message ?? (end.bySignal ? 'ended by a signal' : 'ended by itself');
    this.#options.environment.log.error(`instance ${instance.address.id} of ${instance.group} (pid ${instance.pid}): ${how}`);
    if (end.failure?.thrown?.stack !== undefined) this.#options.environment.log.error(end.failure.thrown.stack);
  }

  /** Unless something boots for those that wait: it has the machine to itself until then. */
  #replenish(): void {
    if (!this.#options.environment.development) return;
    for (const instance of this.#state.instances.values()) if (instance.phase === 'launching') return;
    if (!this.#state.closing) this.#options.launcher.replenish();
  }

  /** Decides and does, until nothing but waiting is left. */
  #turn(): void {
    if (this.#closed) return;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const actions = decide(this.#state, this.#now);
      const wake = actions.find((action) => action.type === 'wake');
      const doings = actions.filter((action) => action.type !== 'wake');
      if (doings.length === 0) return this.#wakeAt(wake?.at);
      for (const action of doings) this.#do(action);
    }
    this.#wakeAt(this.#now);
  }

  #wakeAt(at: number | undefined): void {
    this.#wake?.cancel();
    if (at === undefined) return;
    this.#wake = this.#options.environment.clock.after(Math.max(1, at - this.#now), () => this.#turn());
  }

  #do(action: Action): void {
    switch (action.type) {
      case 'launch':
        return this.#launch(action.group);
      case 'drain':
        return this.#drain(action.instance);
      case 'terminate':
        return this.#terminate(action.instance, action.reason);
      case 'refuse':
        refused(this.#state, action.group);
        return this.#workers.pushRefused({ group: action.group, error: action.error, forMs: action.forMs });
      case 'wake':
        return;
    }
  }

  #launch(group: string): void {
    this.#count += 1;
    const id = `${this.#epoch}-${this.#count.toString(36)}`;
    launched(this.#state, { id, group }, this.#now);
    const { launcher, environment } = this.#options;
    const { application, config } = environment;
    const usesSidecars = (application.proxied?.length ?? 0) > 0;
    // What a boot is made of has to be read, too: whatever fails is this launch's failure.
    const launch = async (): Promise<[Sandbox, InstanceBoot]> => {
      const boot = bootOf({ directory: this.#directory, config, revision: this.#revision as Revision, mocks: this.#mocks, usesSidecars }, id, group);
      return [await launcher.launch(boot), boot];
    };
    launch().then(
      ([sandbox, boot]) => this.#launched(sandbox, boot),
      (error: unknown) => {
        const failure = error instanceof CartonError ? error : new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { got: describe(error), cause: error });
        environment.log.error(failure);
        ended(this.#state, { id, failure: toWire(failure) }, this.#now);
        this.#turn();
        this.#checkEmpty();
      },
    );
  }

  #launched(sandbox: Sandbox, boot: InstanceBoot): void {
    const { clock, log } = this.#options.environment;
    const instance = LiveInstance.launched(sandbox, boot, clock, this);
    this.#live.set(boot.id, instance);
    if (boot.mocks !== this.#mocks) instance.setMocks(this.#mocks).catch((error: unknown) => log.warn(describe(error)));
    // It may have been taken back while its process came to be.
    if (this.#state.instances.get(boot.id)?.phase !== 'launching') instance.kill();
    // Workers connect while it comes up.
    else if (instance.isReachable) this.#pushInstances(instance.group);
    noteProcess(this.#directory, boot.id, { pid: sandbox.pid, log });
  }

  #drain(id: string): void {
    drainStarted(this.#state, id, this.#now);
    const instance = this.#live.get(id);
    instance?.drain();
    if (instance !== undefined) this.#pushInstances(instance.group);
  }

  #terminate(id: string, reason: TerminateReason): void {
    const instance = this.#live.get(id);
    if (reason !== 'closing' && reason !== 'revision') this.#options.environment.log.warn(`instance ${id} of ${instance?.group ?? '?'} is terminated: ${reason}`);
    terminateStarted(this.#state, id, reason);
    instance?.kill();
    if (instance !== undefined) this.#pushInstances(instance.group);
  }

  #pushInstances(group: string): void {
    this.#workers.pushInstances(this.#instancesOf(group));
  }

  #instancesOf(group: string): InstancesPush {
    const serving = [...this.#state.instances.values()].filter((instance) =>
      instance.group === group && (instance.phase === 'ready' || instance.phase === 'launching') && instance.revision === this.#state.revision && !instance.unresponsive);
    const live = serving.flatMap(({ id }) => this.#live.get(id) ?? []).filter((instance) => instance.isReachable);
    return { group, instances: live.map(({ address }) => addressOnly(address)) };
  }

  #pushSpecs(): void {
    const revision = this.#revision as Revision;
    const push: SpecsPush = {
      epoch: this.#epoch,
      revision: revision.revision,
      functions: revision.functions,
      groups: revision.groups,
      workers: Math.max(1, this.#workers.count),
      instances: revision.groups.map((group) => this.#instancesOf(group.key)).filter((entry) => entry.instances.length > 0),
    };
    this.#workers.pushSpecs(push);
  }

  #adopted(instance: LiveInstance, ready: InstanceReady): void {
    if (this.#closed) return;
    this.#live.set(ready.id, instance);
    adopted(this.#state, ready, this.#now);
    this.#options.environment.log.info(`adopted instance ${ready.id} of ${instance.group} (pid ${instance.pid}) of a former agent`);
    this.#pushInstances(instance.group);
    this.#turn();
  }

  /** The host has ended and could not say so: nothing is worth finishing, because nobody would hear of it. */
  #hostGone(): void {
    closing(this.#state);
    for (const id of [...this.#state.instances.keys()]) this.#terminate(id, 'closing');
  }
}

/** Milliseconds that the start waits for instances to be adopted; one that is blocked must not hold up the others. */
const ADOPT_MS = 1_000;
