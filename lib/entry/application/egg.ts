/**
 * Boots an Egg application in the role of a function process (see `function_role.ts`), or in another one. Runs in function
 * processes and sidecars.
 *
 * Numbered, each with a test of this name:
 * 1. A boot failure rejects with the very error that the application threw. The process has to end after it: what the
 *    application had opened by then stays open.
 * 2. All boot hooks run, `serverDidReady` too, since applications open clients there. As in a worker, which listens
 *    before it, nobody waits for what that hook awaits, and its failure is logged and no more.
 * 3. Nothing is written to the application's run directory, and no other process is waited for.
 * 4. `close()` resolves once all log lines are in their files, so that the process may exit at once.
 */
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import type { BootedApplication } from '../../runtime/application';
import type { ApplicationDescriptor } from '../../support/host_environment';
import { CartonError } from '../../support/errors';
import type { ProxiedClients } from '../../runtime/proxied_clients';
import { eggFace } from './egg_scope';
import type { ApplicationClass, EggApplication } from './egg_types';
import { functionRole } from './function_role';
import { flushLogsOnDemand, keepLogFiles } from './log_files';
import { applicationOf, type Role } from './role';
import { StubAgent } from './stub_agent';

/** The name of this plugin, which is always off in a function process: hosting functions is the host's work. */
const ITSELF = 'carton';

function loadFramework(descriptor: ApplicationDescriptor): ApplicationClass {
  const framework: unknown = require(descriptor.entry);
  const Application = (framework as { Application?: unknown } | null)?.Application;
  if (typeof Application !== 'function') {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', {
      of: `framework ${descriptor.entry}`,
      expected: 'an Egg framework, whose main file exports the class Application',
      got: `exports ${Object.keys(framework ?? {}).join(', ') || 'nothing'}`,
    });
  }
  return Application as ApplicationClass;
}

/** Egg's loggers end their streams and do not wait for them: an exit after `app.close()` loses up to a second of lines. */
export async function closeEgg(app: EggApplication): Promise<void> {
  const transports = [...app.loggers.values()].flatMap((logger) => [...logger.values()]);
  const streams = transports.flatMap(({ _stream: stream }) => stream ?? []);
  const written = Promise.allSettled(streams.map((stream) => finished(stream)));
  await app.close();
  await written;
}

/** `clients`: those that a sidecar holds; without them all plugins are booted. */
export async function bootEgg(descriptor: ApplicationDescriptor, clients?: ProxiedClients): Promise<BootedApplication> {
  const booted: { app?: EggApplication } = {};
  // Before anything of the application can register hooks: what those log is written out, and goes to the right files.
  keepLogFiles(() => booted.app);
  const role = functionRole([...descriptor.disabledPlugins, ITSELF], descriptor.proxied, clients);
  const app = await startEgg(descriptor, role, { onMade: (made) => (booted.app = made) });
  flushLogsOnDemand(app);
  return eggFace(app, async () => {
    await closeEgg(app);
    clients?.close();
  });
}

export interface StartOptions {
  /** Beside the descriptor's. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** It has been constructed, and boots. */
  readonly onMade?: (app: EggApplication) => void;
}

/** Resolves once all its boot hooks have run. */
export async function startEgg(descriptor: ApplicationDescriptor, role: Role, { options, onMade }: StartOptions = {}): Promise<EggApplication> {
  const Application = applicationOf(loadFramework(descriptor), role);
  // Cloned, because Egg writes into its options.
  const app = new Application({ ...structuredClone(descriptor.options), ...options, baseDir: descriptor.baseDir, mode: 'single' });
  onMade?.(app);
  // The loader has put one there already, but in egg 4 a class field of the same name wipes it.
  app.agent ??= new StubAgent(app);
  await app.ready();
  app.messenger.broadcast('egg-ready');
  // The messenger delivers in the next tick; hooks that await nothing from outside are through by the next turn.
  await setImmediate();
  return app;
}

