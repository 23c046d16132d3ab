/**
 * The life of a process that serves as an instance: boots the application in the function role while the agent decides
 * whom it serves. Runs in function processes, spawned or forked, and in the process that records one for a snapshot.
 */
import type { Duplex } from 'node:stream';
import { systemClock } from '../support/clock';
import { killGroup, watchHost } from '../support/host_process';
import type { ProcessBoot } from '../protocol/control';
import type { BootedApplication } from '../runtime/application';
import { Freshness } from '../runtime/freshness';
import { OutputPrefix } from '../runtime/output_prefix';
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

export function bootApplication({ application, development }: ProcessBoot): Booted {
  // Before anything of the application is loaded.
  const freshness = development ? new Freshness(application.baseDir).record() : undefined;
  const output = development ? new OutputPrefix('function process', [process.stdout, process.stderr]) : undefined;
  return { application: application.kind === 'egg' ? bootEgg(application) : bootModule(application), freshness, output };
}

export function becomeInstance(boot: ProcessBoot, { application, freshness, output }: Booted, { channel, onEnd, begun }: InstanceProcess): void {
  const instance = serveInstance({
    channel,
    process: boot,
    application,
    clock: systemClock,
    freshness,
    output,
    begun,
    onEnd,
    onBoot: ({ id, group }) => {
      process.title = `egg-carton ${group.key} ${id}`;
      if (output !== undefined) output.name = group.key;
    },
  });
  process.on('SIGTERM', () => instance.drain());
}
