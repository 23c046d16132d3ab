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
import { HostSnapshots } from './host_snapshots';
import { forkLauncher } from './host_templates';
import { inlineApplication } from './inline_application';

/** Processes kept booted ahead in development, so that a saved file is served at once. */
const DEVELOPMENT_SPARES = 1;

export interface AgentHostOptions {
  /** `inline` runs functions in this process, on the application registered in `inline_application.ts`. */
  readonly inline: boolean;
}

export class AgentHost {
  readonly scheduler: Scheduler;
  readonly #environment: HostEnvironment;
  readonly #snapshots: HostSnapshots;
  readonly #isInline: boolean;
  readonly #launcher: Launcher;

  constructor(environment: HostEnvironment, { inline }: AgentHostOptions) {
    this.#environment = environment;
    this.#isInline = inline;
    this.#snapshots = new HostSnapshots(environment);
    this.#launcher = inline ? inlineLauncher(environment) : this.#processLauncher();
    this.scheduler = new Scheduler({
      environment,
      launcher: this.#launcher,
      loadRevision: (fresh) => revisionOf(environment, fresh),
    });
  }

  /** Rejects with what is wrong with the specs. */
  async start(): Promise<void> {
    if (!this.#isInline) this.#snapshots.select();
    await this.scheduler.start();
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
    await this.scheduler.close();
  }

  #processLauncher(): Launcher {
    const { config, development, log } = this.#environment;
    const loading = (): Loading => this.#snapshots.loading;
    const obstacle = forkObstacle(config);
    const spawn = new SpawnLauncher({
      entry: join(__dirname, 'function_process.js'),
      execArgv: functionFlags(config),
      process: processBoot(this.#environment),
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
      process: processBoot(this.#environment),
      loading,
      functions: () => this.scheduler.revision?.functions ?? [],
    });
    return config.launcher === 'fork' ? fork : new AutoLauncher({ fork, spawn, log });
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
