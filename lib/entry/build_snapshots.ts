/**
 * Builds both snapshots of an application from its files alone, without a host that runs: first that of Egg's own agent
 * and app workers, then that of function processes, of which the recorded host says what they are. Runs in the command
 * line.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inheritedFlags } from '../sandbox/flags';
import type { SnapshotRole } from '../snapshot/manifest';
import { snapshotDirectory } from '../snapshot/store';
import { CartonError } from '../support/errors';
import type { ApplicationDescriptor } from '../support/host_environment';
import { resolveFramework } from './application/framework';
import { preloadFlags } from './egg_scripts';
import type { RecordedHost, RecordingPlan, SnapshotSummary } from './recording/plan';
import { serverEnvironment } from './server_environment';
import { buildSnapshot, type Build } from './snapshot_builder';
import { snapshotSubject } from './snapshot_subject';

export interface BuildSnapshotsOptions {
  /** Absolute path of the application. */
  readonly baseDir: string;
  readonly onStep: (role: SnapshotRole, step: string) => void;
  readonly onWarning: (message: string) => void;
  readonly onBuilt: (role: SnapshotRole, snapshot: SnapshotSummary) => void;
}

export interface SnapshotsBuild {
  /**
   * Rejects as `Build.done` does, after `cancel` too; what was built until then stays. `functions` is false where the
   * plugin is not enabled: there are no function processes then.
   */
  readonly done: Promise<{ readonly functions: boolean }>;
  /** Ends the recording that is under way, and begins no other. */
  cancel(): void;
}

/** An application as egg-cluster starts it. Throws `CARTON_HOST_NO_FRAMEWORK`. */
export function applicationAt(baseDir: string): ApplicationDescriptor {
  return {
    kind: 'egg',
    name: nameOf(baseDir),
    baseDir,
    entry: resolveFramework(baseDir),
    options: { env: serverEnvironment(baseDir) },
    disabledPlugins: [],
  };
}

/** Throws `CARTON_HOST_NO_FRAMEWORK`. */
export function buildSnapshots(options: BuildSnapshotsOptions): SnapshotsBuild {
  const application = applicationAt(options.baseDir);
  let current: Build | undefined;
  let isCancelled = false;
  const build = async (role: SnapshotRole, host: RecordedHost): Promise<RecordedHost | undefined> => {
    if (isCancelled) throw new CartonError('CARTON_SNAPSHOT_BUILD_FAILED', { of: application.name, expected: 'to be let finish', got: 'the end of the build' });
    current = buildSnapshot(planOf(role, host), {
      execArgv: host.execArgv,
      onStep: (step) => options.onStep(role, step),
      onWarning: options.onWarning,
    });
    const built = await current.done;
    options.onBuilt(role, built.snapshot);
    return built.host;
  };
  const buildBoth = async (): Promise<{ functions: boolean }> => {
    const host = await build('host', { application, functions: [], warmUps: [], execArgv: [...inheritedFlags(process.execArgv), ...preloadFlags(application.baseDir)] });
    if (host === undefined) return { functions: false };
    await build('function', host);
    return { functions: true };
  };
  return {
    done: buildBoth(),
    cancel() {
      isCancelled = true;
      current?.cancel();
    },
  };
}

function planOf(role: SnapshotRole, { application, functions, warmUps }: RecordedHost): RecordingPlan {
  const subject = snapshotSubject(application, role);
  return { subject, directory: snapshotDirectory(subject), application, functions, warmUps };
}

function nameOf(baseDir: string): string {
  const { name } = JSON.parse(readFileSync(join(baseDir, 'package.json'), 'utf8')) as { name?: unknown };
  return typeof name === 'string' && name !== '' ? name : basename(baseDir);
}
