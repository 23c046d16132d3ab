/**
 * A fork that answers an application's routes, and how much memory it holds after that. Whoever starts it closes it.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { carton as cartonDefaults } from '../../config/config.default';
import { resolveFramework } from '../../lib/entry/application/framework';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { functionFlags } from '../../lib/sandbox/flags';
import type { Application } from './applications';
import { inParallel } from './in_parallel';
import { LISTENING, type KoaArgument, type KoaFork } from './koa_program';
import { memoryOf } from './memory';
import { QUIET } from './revision_template';
import { askSocket } from './socket_request';

const ENTRY = join(__dirname, '../../lib/entry/template_process.js');
const PROGRAM = join(__dirname, 'koa_program.js');

export interface KoaUse {
  readonly requests: number;
  readonly connections: number;
  readonly body: unknown;
}

/** Bytes of private memory after so many requests. */
export async function usedByKoa(application: Application, { requests, connections, body }: KoaUse): Promise<number> {
  const { baseDir, directory, routePath } = application;
  const argument: KoaArgument = { baseDir, framework: resolveFramework(baseDir), directory, routePath, args: [body] };
  const env = { ...process.env, ...application.environment('hosted'), ...QUIET };
  const template = await Template.start({ entry: ENTRY, program: PROGRAM, argument, execArgv: functionFlags(cartonDefaults), cwd: baseDir, env });
  let fork: ForkedProcess | undefined;
  const socketPath = join(directory, 'koa');
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  try {
    // As on a host, whose first instance is forked before this, and all others after it.
    template.collect();
    const order: KoaFork = { socketPath };
    fork = await template.fork(order);
    const [told] = (await Promise.race([once(fork.channel, 'data'), fork.exited.then(() => ['its end'])])) as [Buffer | string];
    if (told.toString() !== LISTENING) throw new Error(`expected a fork that listens, got: ${told.toString()}`);
    await inParallel(requests, connections, () => askSocket({ socketPath, path: routePath, json: [body], agent }));
    return memoryOf(fork.pid)?.private ?? Number.NaN;
  } finally {
    agent.destroy();
    fork?.channel.destroy();
    fork?.kill();
    await fork?.exited;
    template.close();
    await template.ended;
    rmSync(socketPath, { force: true });
  }
}
