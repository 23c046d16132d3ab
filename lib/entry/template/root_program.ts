/**
 * Program of a root template: has the framework loaded and warmed by an application without any code of its own, so that
 * templates of applications start from there. Runs in root templates.
 */
import { join } from 'node:path';
import type { SnapshotReference } from '../../protocol/control';
import type { ApplicationDescriptor } from '../../support/host_environment';
import { loadFrom, type Loading } from './loading';
import type { warmInstance } from './warm';

export interface RootArgument {
  /** The application that the framework and its options are of. */
  readonly application: ApplicationDescriptor;
  readonly snapshot: SnapshotReference | null;
  /**
   * `boot`: a blank application; `load`: the framework's modules alone, for frameworks that open something at boot;
   * `leave`: nothing of it, for one that is being edited.
   */
  readonly framework: 'boot' | 'load' | 'leave';
  /** Empty, for logs and sockets; there until it is ready. */
  readonly directory: string;
}

/** What templates of applications inherit. */
export interface RootState {
  readonly loading: Loading | undefined;
}

const BLANK = join(__dirname, 'blank_app');
const LOGS = 'EGG_CARTON_BLANK_LOGS';

export async function warm(argument: unknown): Promise<RootState> {
  const { application, snapshot, framework, directory } = argument as RootArgument;
  process.title = 'egg-carton: root template';
  const loading = loadFrom(snapshot, application);
  // Only now, so that they come from the snapshot.
  if (application.kind === 'egg' && framework !== 'leave') require(application.entry);
  if (framework === 'boot') await bootBlank(application, directory);
  return { loading };
}

async function bootBlank(application: ApplicationDescriptor, directory: string): Promise<void> {
  const { warmInstance: run } = require('./warm') as { warmInstance: typeof warmInstance };
  process.env[LOGS] = directory;
  // What Egg says of the files it logs to, before it has read that nobody wants to know.
  const level = process.env['EGG_LOG'];
  process.env['EGG_LOG'] = 'NONE';
  try {
    const blank = { ...application, baseDir: BLANK, proxied: [], ...(application.kind === 'module' && { entry: join(BLANK, 'package.json') }) };
    await run({ application: blank, hostProcess: { pid: process.pid, startTime: '' }, development: false, snapshot: null, compileCache: null }, directory);
  } finally {
    delete process.env[LOGS];
    if (level === undefined) delete process.env['EGG_LOG'];
    else process.env['EGG_LOG'] = level;
  }
}
