/**
 * Starts of function processes, with the agent's and a worker's own code on the other ends: the process is launched as
 * the spawn launcher does it, told its boot over its channel, and called through a dispatcher. There is no HTTP in it.
 */
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { carton as cartonDefaults } from '../../config/config.default';
import { resolveFramework } from '../../lib/entry/application/framework';
import { Dispatcher } from '../../lib/ingress/dispatcher';
import { invokeFunction } from '../../lib/ingress/invoke';
import { Recorder } from '../../lib/observe/recorder';
import type { InstanceBoot, ProcessBoot, SnapshotReference } from '../../lib/protocol/control';
import { CHANNEL_FD } from '../../lib/sandbox/channel';
import { addressOnly, bootOf } from '../../lib/scheduler/boot';
import { LiveInstance } from '../../lib/scheduler/live_instance';
import { loadRevision } from '../../lib/spec/load';
import type { Revision } from '../../lib/spec/types';
import { systemClock } from '../../lib/support/clock';
import { HostDirectory } from '../../lib/support/host_directory';
import type { HostEnvironment } from '../../lib/support/host_environment';
import { hostProcessOf, killGroup } from '../../lib/support/host_process';
import { socketDirectory, type Application } from './applications';
import { StartedProcess, type Start } from './start';

const ENTRY = join(__dirname, '../../lib/entry/function_process.js');

const silent = (): void => undefined;

/** This process as the host of one application: agent and worker at once. */
export class FunctionHost {
  readonly #application: Application;
  readonly #environment: HostEnvironment;
  readonly #directory: HostDirectory;
  readonly #dispatcher: Dispatcher;
  readonly #recorder = new Recorder();
  readonly #revision: Revision;
  #launched = 0;

  private constructor(application: Application, revision: Revision) {
    this.#application = application;
    this.#revision = revision;
    this.#environment = environmentOf(application);
    this.#directory = new HostDirectory(socketDirectory(application.directory), this.#environment.hostProcess, application.baseDir);
    this.#directory.create();
    this.#dispatcher = new Dispatcher(this.#environment, this.#directory);
    this.#dispatcher.onSpecs({ ...revision, epoch: 1, workers: 1, instances: [] });
  }

  static async of(application: Application): Promise<FunctionHost> {
    return new FunctionHost(application, await revisionOf(application));
  }

  /** One function process from before it exists to its first answer, and its end. */
  async start(snapshot: SnapshotReference | null, trace?: string): Promise<Start> {
    const group = this.#dispatcher.find(this.#application.functionName).group;
    this.#launched += 1;
    const boot = bootOf({ directory: this.#directory, config: cartonDefaults, revision: this.#revision, mocks: [] }, `bench-${this.#launched}`, group);
    const started = this.#spawn(snapshot, trace);
    try {
      const instance = await ready(started, boot);
      const [readyMs, readyAt] = [started.elapsedMs, Date.now()];
      this.#dispatcher.onInstances({ group, instances: [addressOnly(boot)] });
      await this.#invoke();
      const firstAnswerMs = started.elapsedMs;
      this.#dispatcher.onInstances({ group, instances: [] });
      instance.drain();
      await started.end();
      assertReplayed(started, snapshot);
      return { readyMs, firstAnswerMs, readyAt };
    } finally {
      // Does nothing to one that was drained; nobody else would end one that failed.
      if (started.process.exitCode === null) killGroup(started.process.pid as number);
      this.#directory.removeInstance(boot.id);
    }
  }

  close(): void {
    this.#dispatcher.close();
    this.#directory.remove();
  }

  async #invoke(): Promise<void> {
    const { functionName: name, args } = this.#application;
    await invokeFunction({ dispatcher: this.#dispatcher, clock: systemClock, recorder: this.#recorder }, { name, args, options: {} });
  }

  #spawn(snapshot: SnapshotReference | null, trace: string | undefined): StartedProcess {
    const { application, hostProcess, development } = this.#environment;
    const boot: ProcessBoot = { application, hostProcess, development, snapshot, compileCache: null };
    return new StartedProcess({
      args: [ENTRY, JSON.stringify(boot)],
      cwd: application.baseDir,
      env: this.#application.environment('carton'),
      channel: 'pipe',
      trace,
    });
  }
}

/** As the agent of a host of this application has it. */
export function environmentOf({ name, baseDir }: Application): HostEnvironment {
  return {
    application: {
      kind: 'egg',
      name,
      baseDir,
      entry: resolveFramework(baseDir),
      options: { env: 'prod', workers: 1 },
      disabledPlugins: [...cartonDefaults.disabledPlugins, 'carton'],
    },
    config: cartonDefaults,
    hostProcess: hostProcessOf(process.pid),
    development: false,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    clock: systemClock,
  };
}

/** Its functions as they are on disk. */
export function revisionOf({ name, baseDir, hasUserResolver }: Application): Promise<Revision> {
  return loadRevision({
    application: name,
    baseDir,
    functionDirectory: cartonDefaults.functionDirectory,
    specFile: cartonDefaults.specFile,
    defaults: cartonDefaults.functionDefaults,
    hasUserResolver,
    maxInstances: cartonDefaults.maxInstances,
  });
}

/** A process that cannot use its snapshot says so and loads without it: its figures would be told as the snapshot's. */
function assertReplayed(started: StartedProcess, snapshot: SnapshotReference | null): void {
  if (snapshot !== null && started.complaint !== '') throw new Error(`expected a function process to load from ${snapshot.path}, but: ${started.complaint}`);
}

/** Resolves when the instance says that it is ready; rejects with what it printed where it ends before. */
function ready(started: StartedProcess, boot: InstanceBoot): Promise<LiveInstance> {
  const child = started.process;
  const sandbox = {
    pid: child.pid as number,
    channel: child.stdio[CHANNEL_FD] as Socket,
    exited: started.exited,
    kill: () => killGroup(child.pid as number),
  };
  return new Promise((resolve, reject) => {
    LiveInstance.launched(sandbox, boot, systemClock, {
      onReady: resolve,
      onLoad: silent,
      onStale: silent,
      onEnded: (_instance, { failure }) => reject(new Error(`a function process ended before it was ready: ${failure?.message ?? ''}\n${started.output}`)),
    });
  });
}
