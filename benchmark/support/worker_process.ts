/**
 * Agent and application of Egg in one process, booted as egg-cluster boots its workers: options as JSON in the first
 * argument, modules of `require` before the framework. Run as a child process; it tells its port, and how many modules
 * came from a snapshot.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { registration } from '../../lib/entry/registration';

export interface WorkerReady {
  readonly port: number;
  readonly served: number;
}

/** Of egg-cluster's options, those that matter here. */
export interface WorkerOptions {
  readonly baseDir: string;
  /** Absolute path. */
  readonly framework: string;
  readonly require: readonly string[];
}

type Framework = typeof import('egg');

async function main({ baseDir, framework, require: modules }: WorkerOptions): Promise<void> {
  for (const name of modules) require(name);
  const { start } = require(framework) as Framework;
  const app = await start({ baseDir, framework, ignoreWarning: true });
  const server = createServer(app.callback());
  server.listen(0, '127.0.0.1', () => {
    const ready: WorkerReady = { port: (server.address() as AddressInfo).port, served: servedModules() };
    process.send?.(ready);
  });
}

function servedModules(): number {
  // Not at the top, where it would be loaded before the application's own way of loading begins.
  const loaded = require('../../lib/entry/registration') as { registration: typeof registration };
  return loaded.registration()?.replay?.served ?? 0;
}

void main(JSON.parse(process.argv[2] ?? '') as WorkerOptions);
process.on('disconnect', () => process.exit());
