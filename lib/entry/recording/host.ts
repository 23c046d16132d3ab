/**
 * Records Egg's own agent and app worker: both are booted in this process, as in Egg's single mode, since a snapshot
 * holds facts about files, which are the same in a cluster. Requests that no route takes warm the way of a request.
 */
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../support/clock';
import { CartonError, describe } from '../../support/errors';
import { killGroup, watchHost } from '../../support/host_process';
import type { ApplicationDescriptor } from '../../support/host_environment';
import type { RecordingOrder, RecordingReport } from './plan';
import { recordedHost, setRecording } from './state';

/** Of a stock Egg application or agent. */
interface EggProcess {
  agent?: EggProcess;
  application?: EggProcess;
  ready(): Promise<void>;
  callback(): Parameters<typeof createServer>[1];
}
type EggClass = new (options: Record<string, unknown>) => EggProcess;

const REQUESTS = 3;
const ANSWER_MS = 2_000;

/** Rejects with the error of the application's boot. */
export async function recordHost({ application: descriptor, builder }: RecordingOrder, report: (message: RecordingReport) => void): Promise<void> {
  setRecording();
  watchHost(builder, systemClock, () => killGroup(process.pid));
  const { Agent, Application } = frameworkOf(descriptor);
  const options = (): Record<string, unknown> => ({ ...descriptor.options, baseDir: descriptor.baseDir, framework: descriptor.entry, mode: 'single' });
  const agent = new Agent(options());
  await agent.ready();
  const application = new Application(options());
  application.agent = agent;
  agent.application = application;
  await application.ready();
  const host = await recordedHost();
  if (host !== undefined) report({ kind: 'host', host });
  report({ kind: 'step', step: 'warming up' });
  await request(application).catch((error: unknown) => report({ kind: 'warning', message: `the requests that warm up failed: ${describe(error)}` }));
}

function frameworkOf({ entry }: ApplicationDescriptor): { Agent: EggClass; Application: EggClass } {
  const framework = require(entry) as { Agent?: EggClass; Application?: EggClass };
  const { Agent, Application } = framework;
  if (Agent === undefined || Application === undefined) {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', { of: `framework ${entry}`, expected: 'an Egg framework, whose main file exports the classes Agent and Application', got: Object.keys(framework).join(', ') });
  }
  return { Agent, Application };
}

async function request(application: EggProcess): Promise<void> {
  const server = createServer(application.callback());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < REQUESTS; i += 1) {
    // A route for everything else may take it, and never answer.
    const signal = AbortSignal.timeout(ANSWER_MS);
    const [response] = (await once(get({ port, host: '127.0.0.1', path: '/egg-carton/no-such-path', signal }), 'response')) as [NodeJS.ReadableStream];
    response.resume();
    await once(response, 'end');
  }
  server.close();
}
