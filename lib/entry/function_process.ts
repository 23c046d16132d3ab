/**
 * Entry of a function process: boots the application in the function role while the agent decides whom it serves, then
 * serves as an instance until it is drained, abandoned, or its host is gone.
 */
import { Socket } from 'node:net';
import { systemClock } from '../support/clock';
import { CartonError } from '../support/errors';
import { killGroup, watchHost } from '../support/host_process';
import type { ProcessBoot } from '../protocol/control';
import type { BootedApplication } from '../runtime/application';
import { Freshness } from '../runtime/freshness';
import { OutputPrefix } from '../runtime/output_prefix';
import { serveInstance } from '../runtime/serve';
import { CHANNEL_FD } from '../sandbox/channel';
import { bootEgg } from './application/egg';
import { bootModule } from './application/module';

const boot = readBoot(process.argv[2]);
// Before anything of the application is loaded.
const freshness = boot.development ? new Freshness(boot.application.baseDir).record() : undefined;
const output = boot.development ? new OutputPrefix('function process', [process.stdout, process.stderr]) : undefined;

// With all that functions have started: nobody else is left to end it.
watchHost(boot.hostProcess, systemClock, () => killGroup(process.pid));
// Ctrl-C in a terminal is the host's to handle.
process.on('SIGINT', () => undefined);

const instance = serveInstance({
  channel: new Socket({ fd: CHANNEL_FD, readable: true, writable: true }),
  process: boot,
  application: bootApplication(),
  clock: systemClock,
  freshness,
  output,
  onEnd: (code) => process.exit(code),
  onBoot: ({ id, group }) => {
    process.title = `egg-carton ${group.key} ${id}`;
    if (output !== undefined) output.name = group.key;
  },
});
process.on('SIGTERM', () => instance.drain());

function bootApplication(): Promise<BootedApplication> {
  return boot.application.kind === 'egg' ? bootEgg(boot.application) : bootModule(boot.application);
}

function readBoot(argument: string | undefined): ProcessBoot {
  try {
    return JSON.parse(argument ?? '') as ProcessBoot;
  } catch (cause) {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', { expected: 'a boot message as JSON in the first argument', got: String(argument), cause });
  }
}
