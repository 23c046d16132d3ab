/**
 * Warms the way of an invocation in a template: an instance is served and called in the template itself, so that its
 * forks find all of it compiled. Runs in templates.
 */
import { systemClock } from '../../support/clock';
import type { ProcessBoot } from '../../protocol/control';
import { serveInstance } from '../../runtime/serve';
import type { FunctionSpec } from '../../spec/types';
import { bootApplication, type Booted } from '../instance_process';
import { launchHere, rehearse } from '../rehearsal';

/** Boots an application, has an instance of it answer once, and closes it. */
export async function warmInstance(boot: ProcessBoot): Promise<void> {
  const booted = bootApplication(boot);
  await warmPath(boot, booted, []);
  await (await booted.application).close();
}

/** Has `booted` answer once. `functions` are loaded, and not called. */
export async function warmPath(boot: ProcessBoot, { application, freshness }: Booted, functions: readonly FunctionSpec[]): Promise<void> {
  // It goes on to live when the instance has ended.
  const lasting = application.then((face) => ({ ...face, close: () => Promise.resolve() }));
  await rehearse({
    launch: launchHere((channel, onEnd) => void serveInstance({ channel, process: boot, application: lasting, clock: systemClock, freshness, onEnd })),
    functions,
    warmUps: [],
    onWarning: () => undefined,
  });
}
