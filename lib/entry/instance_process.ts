/**
 * The life of a process that serves as an instance: boots the application in the function role while the agent decides
 * whom it serves. Runs in function processes, spawned or forked, and in the process that records one for a snapshot.
 */
import type { Duplex } from 'node:stream';
import { systemClock } from '../support/clock';
import { killGroup, watchHost } from '../support/host_process';
import { onCheckpoint } from '../fork/inside/hooks';
import type { ProcessBoot, SidecarAccess } from '../protocol/control';
import type { BootedApplication } from '../runtime/application';
import { Freshness } from '../runtime/freshness';
import { OutputPrefix } from '../runtime/output_prefix';
import type { ProxiedClients } from '../runtime/proxied_clients';
import { serveInstance, type ServeOptions } from '../runtime/serve';
import { bootEgg } from './application/egg';
import { bootModule } from './application/module';

export { CHANNEL_FD } from '../sandbox/channel';

export interface InstanceProcess {
  /** Connected to the agent, or to whoever stands in for it. */
  readonly channel: Duplex;
  /** The instance has ended; `code` is an exit code. */
  readonly onEnd: (code: number) => void;
  /** Of one that knows from its first moment whom it serves. */
  readonly begun?: ServeOptions['begun'];
}

/** What a process has before it becomes an instance. */
export interface Booted {
  /** May still be booting; rejects with what is wrong with it. */
  readonly application: Promise<BootedApplication>;
  /** In development. */
  readonly freshness: Freshness | undefined;
  /** In development. */
  readonly output: OutputPrefix | undefined;
  /** Clients that a sidecar holds. */
  readonly clients: ProxiedClients | undefined;
}

/** Never throws: what goes wrong is told on the channel. */
export function runInstance(boot: ProcessBoot, life: InstanceProcess): { readonly application: Promise<BootedApplication> } {
  const booted = bootApplication(boot);
  // With all that functions have started: nobody else is left to end it.
  watchHost(boot.hostProcess, systemClock, () => killGroup(process.pid));
  // Ctrl-C in a terminal is the host's to handle.
  process.on('SIGINT', () => undefined);
  becomeInstance(boot, booted, life);
  return booted;
}

export function bootApplication({ application, development, sidecar }: ProcessBoot): Booted {
  // Before anything of the application is loaded.
  const freshness = development ? new Freshness(application.baseDir).record() : undefined;
  const output = development ? new OutputPrefix('function process', [process.stdout, process.stderr]) : undefined;
  const clients = application.proxied?.length ? proxiedClients(sidecar) : undefined;
  return { application: application.kind === 'egg' ? bootEgg(application, clients) : bootModule(application), freshness, output, clients };
}

/** What is only recorded reaches no sidecar. */
const NO_SIDECAR: SidecarAccess = { sockets: {}, claims: '', token: '', callTimeoutMs: 1 };

function proxiedClients(access: SidecarAccess = NO_SIDECAR): ProxiedClients {
  // Only now: most of what remote calls need is needed for nothing else.
  const { ProxiedClients: Clients } = require('../runtime/proxied_clients') as typeof import('../runtime/proxied_clients');
  const clients = new Clients(access, systemClock);
  // Registered before any hook of the application's, and run after all of those, which may still call.
  onCheckpoint({ beforeCheckpoint: () => clients.disconnect(), afterRestore: () => undefined });
  return clients;
}

export function becomeInstance(boot: ProcessBoot, { application, freshness, output, clients }: Booted, { channel, onEnd, begun }: InstanceProcess): void {
  const instance = serveInstance({
    channel,
    process: boot,
    application,
    clock: systemClock,
    freshness,
    output,
    begun,
    onEnd,
    onBoot: ({ id, group, sidecar }) => {
      if (sidecar !== undefined) clients?.authorize(sidecar);
      process.title = `egg-carton ${group.key} ${id}`;
      if (output !== undefined) output.name = group.key;
    },
  });
  process.on('SIGTERM', () => instance.drain());
}
