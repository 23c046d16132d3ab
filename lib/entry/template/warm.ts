/**
 * Warms the way of an invocation in a template: an instance is served and called in the template itself, so that its
 * forks find all of it compiled. Runs in templates.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../support/clock';
import type { ProcessBoot } from '../../protocol/control';
import { collectGarbage } from '../../fork/inside/garbage';
import { serveInstance } from '../../runtime/serve';
import type { FunctionSpec } from '../../spec/types';
import type { WarmUp } from '../../support/host_environment';
import { bootApplication, type Booted } from '../instance_process';
import { launchHere, ownFunction, rehearse } from '../rehearsal';

/** Instances that a root template has come and go: their way is then known to V8 as well as it will be. */
const INSTANCES = 8;
/** Invocations of each function: a second one finds what the first has learned, and so on for some times. */
const ROUNDS = 8;

const CALL_HTTP = ownFunction('egg-carton call', 'call_http');

/** Boots an application, has instances of it answer, and closes it. */
export async function warmInstance(boot: ProcessBoot, directory: string): Promise<void> {
  const booted = bootApplication(boot);
  const server = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await booted.application;
  // What V8 notes of functions, and each instance writes, then lies together and not in the holes of what was loaded.
  collectGarbage();
  for (let i = 0; i < INSTANCES; i += 1) await warmPath(boot, booted, { directory, functions: [CALL_HTTP], warmUps: [{ function: CALL_HTTP.name, args: [url] }] });
  server.closeAllConnections();
  server.close();
  await (await booted.application).close();
}

export interface WarmPath {
  /** Empty, for sockets. */
  readonly directory: string;
  /** They are loaded, and not called. */
  readonly functions: readonly FunctionSpec[];
  /** They are. */
  readonly warmUps: readonly WarmUp[];
}

/** Has `booted` answer. */
export async function warmPath(boot: ProcessBoot, { application, freshness }: Booted, { directory, functions, warmUps }: WarmPath): Promise<void> {
  // It goes on to live when the instance has ended.
  const lasting = application.then((face) => ({ ...face, close: () => Promise.resolve() }));
  await rehearse({
    directory,
    launch: launchHere((channel, onEnd) => void serveInstance({ channel, process: boot, application: lasting, clock: systemClock, freshness, onEnd })),
    functions,
    warmUps,
    rounds: ROUNDS,
    // Not on stderr: egg-scripts takes a line there for a failed start.
    onWarning: (message) => void process.stdout.write(`[egg-carton] ${message}\n`),
  });
}
