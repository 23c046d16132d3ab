/**
 * The agent's part of a host: puts revision, snapshots, launcher and scheduler together.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CartonError } from '../support/errors';
import type { HostEnvironment } from '../support/host_environment';
import type { ProcessBoot } from '../protocol/control';
import { InlineLauncher } from '../sandbox/inline';
import type { Launcher } from '../sandbox/launcher';
import { AutoLauncher } from '../sandbox/auto';
import { functionFlags } from '../sandbox/flags';
import { forkObstacle } from '../sandbox/fork_obstacle';
import { SpawnLauncher, type Loading } from '../sandbox/spawn';
import { Scheduler } from '../scheduler/scheduler';
import { serveInstance } from '../runtime/serve';
import { loadRevision } from '../spec/load';
import type { Revision } from '../spec/types';
import { HostSidecars } from './host_sidecars';
import { HostSnapshots } from './host_snapshots';
import { forkLauncher } from './host_templates';
import { inlineApplication } from './inline_application';

/** Processes kept booted ahead in development, so that a saved file is served at once. */
const DEVELOPMENT_SPARES = 1;

export interface AgentHostOptions {
  /** `inline` runs functions in this process, on the application registered in `inline_application.ts`. */
  readonly inline: boolean;
  /** The application's configuration, which has that of its clients. @default nothing */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export class AgentHost {
  readonly scheduler: Scheduler;
  readonly #environment: HostEnvironment;
  readonly #snapshots: HostSnapshots;
  readonly #isInline: boolean;
  readonly #launcher: Launcher;
  readonly #sidecars: HostSidecars;
  #hasFunctions = false;
  #isServing = false;

  constructor(environment: HostEnvironment, { inline, settings = {} }: AgentHostOptions) {
    this.#environment = environment;
    this.#sidecars = new HostSidecars(environment, inline ? undefined : settings);
    this.#snapshots = new HostSnapshots(environment, () => this.#sidecars.access);
    this.#isInline = inline;
    this.#launcher = inline ? inlineLauncher(environment) : this.#processLauncher();
    this.scheduler = new Scheduler({
      environment,
      launcher: this.#launcher,
      loadRevision: async (fresh) => {
        const revision = await revisionOf(environment, fresh);
        this.#hasFunctions ||= revision.functions.length > 0;
        this.#startSidecars();
        return revision;
      },
      sidecars: () => this.#sidecars.status,
    });
  }

  /** Rejects with what is wrong with the specs. */
  async start(): Promise<void> {
    if (!this.#isInline) this.#snapshots.select();
    await this.scheduler.start();
    this.#isServing = true;
    this.#startSidecars();
    // Workers boot meanwhile; in development the machine is theirs until then.
    if (!this.#environment.development) this.#launcher.replenish();
  }

  /** All is up and nobody waits: a good moment for what takes a while. */
  ready(): void {
    if (this.#environment.development) this.scheduler.hostReady();
    else if (!this.#isInline && this.scheduler.revision !== undefined) void this.#snapshots.build(this.scheduler.revision);
  }

  async close(): Promise<void> {
    this.#snapshots.close();
    this.#sidecars.retire();
    // Instances call to the last, and the scheduler's directory goes with it.
    await this.scheduler.close(() => this.#sidecars.close());
  }

  reloadLogs(): void {
    this.scheduler.reloadLogs();
    this.#sidecars.reloadLogs();
  }

  /** Once somebody may need them, and there is a directory for their sockets. */
  #startSidecars(): void {
    if (this.#hasFunctions && this.#isServing) this.#sidecars.start();
  }

  #processLauncher(): Launcher {
    const { config, development, log } = this.#environment;
    const loading = (): Loading => this.#snapshots.loading;
    const obstacle = forkObstacle(config);
    const spawn = new SpawnLauncher({
      entry: join(__dirname, 'function_process.js'),
      execArgv: functionFlags(config),
      process: this.#processBoot(),
      loading,
      spares: development ? DEVELOPMENT_SPARES : 0,
      log,
      reason: config.launcher === 'auto' ? obstacle : undefined,
    });
    if (obstacle !== undefined) {
      if (config.launcher === 'fork') throw new CartonError('CARTON_FORK_UNAVAILABLE', { got: obstacle });
      if (config.launcher === 'auto') log.info(`instances are spawned, not forked: ${obstacle}`);
      return spawn;
    }
    const fork = forkLauncher({
      environment: this.#environment,
      directory: () => this.scheduler.directory,
      process: this.#processBoot(),
      loading,
      functions: () => this.scheduler.revision?.functions ?? [],
    });
    return config.launcher === 'fork' ? fork : new AutoLauncher({ fork, spawn, log });
  }

  /** Read for each process, since the key that tokens are derived from is there only once the host has started. */
  #processBoot(): Omit<ProcessBoot, keyof Loading> {
    const sidecars = this.#sidecars;
    return {
      ...processBoot(this.#environment),
      get sidecar() {
        return sidecars.access;
      },
    };
  }
}

function processBoot({ application, hostProcess, development }: HostEnvironment): Omit<ProcessBoot, keyof Loading> {
  return { application, hostProcess, development };
}

function inlineLauncher(environment: HostEnvironment): Launcher {
  return new InlineLauncher((channel, end) =>
    serveInstance({
      channel,
      process: { ...processBoot(environment), snapshot: null, compileCache: null },
      application: inlineApplication(environment.application.baseDir),
      clock: environment.clock,
      onEnd: end,
    }),
  );
}

/**
 * The application's functions as they are on disk. In development the revision is named by the specs alone: instances
 * notice by themselves when code changes, and an edit of one function is to leave the others alone.
 */
export async function revisionOf(environment: HostEnvironment, fresh: boolean): Promise<Revision> {
  const { application, config, development } = environment;
  const revision = await loadRevision({
    application: application.name,
    baseDir: application.baseDir,
    functionDirectory: config.functionDirectory,
    specFile: config.specFile,
    defaults: config.functionDefaults,
    hasUserResolver: config.resolveUser !== null,
    oneapiPath: config.ingress.oneapiPath,
    maxInstances: config.maxInstances,
    fresh,
  });
  if (!development) return revision;
  const specs = createHash('sha256').update(JSON.stringify([revision.functions, revision.groups])).digest('hex');
  return { ...revision, revision: `dev-${specs.slice(0, 12)}` };
}
