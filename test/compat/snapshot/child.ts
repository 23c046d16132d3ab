/**
 * The process that boots one application by one loader and describes it: stock loading, loading that is recorded, or
 * loading from the recording. Its only argument is an `Order` as JSON; the `Outcome` goes to the file that it names.
 */
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { SnapshotReference } from '../../../lib/snapshot/manifest';
import type { EggApplication } from '../../../lib/entry/application/egg_types';
import { boot, type BootOptions } from './boot';
import { describeApplication, describeCommon, type DescribedApplication } from './describe_application';
import { describeFailure } from './describe_failure';
import { describeModules, describeModuleSystem } from './describe_modules';
import { describeValue, type Json } from './describe_value';

export interface Order extends BootOptions {
  readonly mode: 'stock' | 'record' | 'replay';
  /** What the snapshot is of, beside the application. */
  readonly env: string;
  readonly scope: string;
  /** Paths that are asked for over HTTP once the application is ready; hosts only. */
  readonly requests: readonly string[];
  /** Where recordings go. */
  readonly snapshots: string;
  /** The recording to replay. */
  readonly reference: SnapshotReference | null;
  /** The file for the outcome. */
  readonly outcome: string;
}

export interface Outcome {
  readonly failed: boolean;
  readonly description: Json;
  readonly reference: SnapshotReference | null;
  /** How many modules came from the snapshot. */
  readonly served: number;
}

interface LoadedBy {
  /** The application is ready, or never will be. */
  settle(): SnapshotReference | null;
  served(): number;
}

/** Loads no more of the snapshot's code than the mode needs, since it would otherwise be measured with the application. */
function prepare({ mode, role, baseDir, framework, env, scope, options, snapshots, reference }: Order): LoadedBy {
  if (mode === 'stock') return { settle: () => null, served: () => 0 };
  if (mode === 'record') {
    const { startRecording } = require('../../../lib/snapshot/record') as typeof import('../../../lib/snapshot/record');
    const recording = startRecording({ role, baseDir, framework, env, scope, plugins: options['plugins'] ?? null });
    const settle = () => {
      const { path, sha256 } = recording.write(snapshots);
      return { path, sha256 };
    };
    return { settle, served: () => 0 };
  }
  const { startReplay } = require('../../../lib/snapshot/replay') as typeof import('../../../lib/snapshot/replay');
  if (reference === null) throw new Error('expected a recording to replay');
  const replay = startReplay(reference, { baseDir, framework });
  return { settle: () => (replay.settle(), null), served: () => replay.served };
}

/** What a request is answered with, but for the headers that tell the time. */
async function ask(app: EggApplication, paths: readonly string[]): Promise<Json> {
  if (paths.length === 0) return [];
  const server = http.createServer((app as unknown as { callback(): http.RequestListener }).callback()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answers: Json[] = [];
  for (const path of paths) {
    const answer = await fetch(`${origin}${path}`, { headers: { connection: 'close' }, redirect: 'manual' });
    const headers = [...answer.headers].filter(([name]) => !['date', 'x-readtime', 'set-cookie', 'last-modified', 'keep-alive'].includes(name));
    answers.push({ path, status: answer.status, headers: Object.fromEntries(headers), body: (await answer.text()).replaceAll(origin, '<origin>') });
  }
  server.close();
  server.closeAllConnections();
  return answers;
}

/** What the application does after its start, when most of a snapshot's work is over. */
async function later(app: EggApplication, { baseDir }: Order): Promise<Json> {
  const application = app as unknown as { later?(): unknown };
  try {
    return describeValue(await application.later?.());
  } catch (error) {
    return describeFailure(error, baseDir);
  }
}

async function describeBooted(app: EggApplication, order: Order): Promise<Json> {
  const application = describeApplication(app as unknown as DescribedApplication, order.role);
  const agent = order.role === 'host' && order.agent ? describeCommon(app.agent as DescribedApplication) : null;
  const modules = describeModules(order.role, order.baseDir);
  const answers = order.role === 'host' ? await ask(app, order.requests) : [];
  const after = await later(app, order);
  await app.close();
  return { application, agent, modules, system: describeModuleSystem(), answers, later: after };
}

async function bootAndDescribe(order: Order, loadedBy: LoadedBy): Promise<Omit<Outcome, 'served'>> {
  let app: EggApplication;
  try {
    app = await boot(order);
  } catch (error) {
    const reference = loadedBy.settle();
    const failure = describeFailure(error, order.baseDir);
    return { failed: true, reference, description: { failure, modules: describeModules(order.role, order.baseDir), system: describeModuleSystem() } };
  }
  const reference = loadedBy.settle();
  return { failed: false, reference, description: await describeBooted(app, order) };
}

async function main(): Promise<void> {
  const order = JSON.parse(process.argv[2] ?? '') as Order;
  // The loaders between an application and its modules have frames of their own; without room for all of them, frames
  // of the application would be cut off at different places.
  Error.stackTraceLimit = 100;
  const loadedBy = prepare(order);
  const outcome: Outcome = { ...await bootAndDescribe(order, loadedBy), served: loadedBy.served() };
  fs.writeFileSync(order.outcome, JSON.stringify(outcome));
  // What a failed boot had opened would keep the process.
  process.exit(0);
}

void main();
