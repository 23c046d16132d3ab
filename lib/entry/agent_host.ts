/**
 * The agent's part of a host: puts revision, launcher and scheduler together.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { HostEnvironment } from '../support/host_environment';
import type { ProcessBoot } from '../protocol/control';
import { InlineLauncher } from '../sandbox/inline';
import type { Launcher } from '../sandbox/launcher';
import { inheritedFlags, SpawnLauncher } from '../sandbox/spawn';
import { Scheduler } from '../scheduler/scheduler';
import { serveInstance } from '../runtime/serve';
import { loadRevision } from '../spec/load';
import type { Revision } from '../spec/types';
import { inlineApplication } from './inline_application';

/** Processes kept booted ahead in development, so that a saved file is served at once. */
const DEVELOPMENT_SPARES = 1;

export interface AgentHostOptions {
  /** `inline` runs functions in this process, on the application registered in `inline_application.ts`. */
  readonly inline: boolean;
}

export function createScheduler(environment: HostEnvironment, { inline }: AgentHostOptions): Scheduler {
  return new Scheduler({
    environment,
    launcher: inline ? inlineLauncher(environment) : spawnLauncher(environment),
    loadRevision: (fresh) => revisionOf(environment, fresh),
  });
}

function processBoot(environment: HostEnvironment): ProcessBoot {
  const { application, hostProcess, development } = environment;
  return { application, hostProcess, development };
}

function spawnLauncher(environment: HostEnvironment): Launcher {
  return new SpawnLauncher({
    entry: join(__dirname, 'function_process.js'),
    execArgv: [...inheritedFlags(process.execArgv), ...environment.config.execArgv],
    process: processBoot(environment),
    spares: environment.development ? DEVELOPMENT_SPARES : 0,
    log: environment.log,
  });
}

function inlineLauncher(environment: HostEnvironment): Launcher {
  return new InlineLauncher((channel, end) =>
    serveInstance({
      channel,
      process: processBoot(environment),
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
async function revisionOf(environment: HostEnvironment, fresh: boolean): Promise<Revision> {
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
