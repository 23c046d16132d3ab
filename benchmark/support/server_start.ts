/**
 * Starts of whole Egg applications that answer over HTTP: a stock one, and one that loads as egg-cluster's workers do,
 * with and without `egg-carton/register`.
 */
import { join } from 'node:path';
import { resolveFramework } from '../../lib/entry/application/framework';
import { askFor200 } from '../../scripts/support/request';
import type { Application } from './applications';
import { StartedProcess, type Start } from './start';
import type { WorkerOptions, WorkerReady } from './worker_process';

const REGISTER = 'egg-carton/register';

/** The application in one process, without the plugin. */
export async function startStock(application: Application, trace?: string): Promise<Start> {
  const args = [join(__dirname, 'single_process.js'), application.baseDir];
  const { start } = await startServer(application, { args, env: application.environment(''), trace });
  return start;
}

/** The application in one process with the plugin; `register`: from its snapshot. */
export async function startWorker(application: Application, register: boolean, trace?: string): Promise<Start> {
  const { baseDir } = application;
  const options: WorkerOptions = { baseDir, framework: resolveFramework(baseDir), require: register ? [REGISTER] : [] };
  const args = [join(__dirname, 'worker_process.js'), JSON.stringify(options)];
  const { start, served, complaint } = await startServer(application, { args, env: application.environment('carton'), trace });
  // One that cannot use its snapshot loads without it: its figures would be told as the snapshot's.
  if (register !== served > 0) throw new Error(`expected ${register ? 'all' : 'no'} modules of ${application.name} from a snapshot, got ${served}: ${complaint}`);
  return start;
}

interface ServerOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly trace: string | undefined;
}

interface Started {
  readonly start: Start;
  readonly served: number;
  readonly complaint: string;
}

async function startServer({ baseDir, routePath }: Application, options: ServerOptions): Promise<Started> {
  const started = new StartedProcess({ ...options, cwd: baseDir, channel: 'ipc' });
  const { port, served = 0 } = (await started.message()) as Pick<WorkerReady, 'port'> & Partial<WorkerReady>;
  const [readyMs, readyAt] = [started.elapsedMs, Date.now()];
  await askFor200({ port, path: routePath });
  const firstAnswerMs = started.elapsedMs;
  started.process.disconnect();
  await started.end();
  return { start: { readyMs, firstAnswerMs, readyAt }, served, complaint: started.complaint };
}
