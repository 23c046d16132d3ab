/**
 * Program of a revision template: boots the application in the role of a function process, loads its functions, and has
 * forks of it serve as instances. Runs in revision templates and instances.
 */
import { readFileSync } from 'node:fs';
import type { Fork } from '../../fork/program';
import type { InstanceBoot, ProcessBoot } from '../../protocol/control';
import type { ServeOptions } from '../../runtime/serve';
import type { FunctionSpec } from '../../spec/types';
import type { WarmUp } from '../../support/host_environment';
import type { becomeInstance, bootApplication, Booted } from '../instance_process';
import { loadFrom } from './loading';
import type { RootState } from './root_program';
import type { warmPath } from './warm';

/** A file that holds a `RevisionPlan` as JSON: an application may have thousands of functions. */
export interface RevisionArgument {
  readonly planPath: string;
  /** Empty, for sockets; there until it is ready. */
  readonly directory: string;
}

export interface RevisionPlan {
  readonly boot: ProcessBoot;
  /** Something is left out, and another template takes this one's place soon. */
  readonly isQuick: boolean;
  /** What every instance is to find loaded. In development none, so that an edit of one leaves the others alone. */
  readonly functions: readonly FunctionSpec[];
  /** Of these functions: invoked in the template, so that no instance is the first to do what they do. */
  readonly warmUps: readonly WarmUp[];
}

interface RevisionState {
  readonly boot: ProcessBoot;
  readonly booted: Booted;
}

interface InstanceModule {
  readonly bootApplication: typeof bootApplication;
  readonly becomeInstance: typeof becomeInstance;
}

/** Rejects with the error of the application's boot. */
export async function warm(argument: unknown, inherited: unknown): Promise<RevisionState> {
  const { planPath, directory } = argument as RevisionArgument;
  const { boot, isQuick, functions, warmUps } = JSON.parse(readFileSync(planPath, 'utf8')) as RevisionPlan;
  process.title = `egg-carton: ${isQuick ? 'quick template' : 'template'} of ${boot.application.name}`;
  process.chdir(boot.application.baseDir);
  const loading = loadFrom(boot.snapshot, boot.application, (inherited as RootState | undefined)?.loading);
  const booted = instanceModule().bootApplication(boot);
  await booted.application;
  if (!isQuick) {
    const { warmPath: warmUp } = require('./warm') as { warmPath: typeof warmPath };
    await warmUp(boot, booted, { directory, functions, warmUps });
  }
  loading?.replay.settle({ hold: true });
  return { boot, booted };
}

/** In a fork: it is an instance from now on. */
export function run({ channel, restored, argument, descriptors }: Fork, { boot, booted }: RevisionState): void {
  const application = restored.then(() => booted.application);
  // Told on the channel, once the instance is told whom it serves.
  application.catch(() => undefined);
  instanceModule().becomeInstance(boot, { ...booted, application }, { channel, begun: beginning(argument as InstanceBoot | null, descriptors), onEnd: (code) => process.exit(code) });
}

/** A boot that is too large for an argument comes on the channel. */
function beginning(boot: InstanceBoot | null, [listener]: readonly number[]): ServeOptions['begun'] {
  return boot === null || listener === undefined ? undefined : { boot, listener };
}

function instanceModule(): InstanceModule {
  return require('../instance_process') as InstanceModule;
}
