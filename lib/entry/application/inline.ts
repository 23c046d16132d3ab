/**
 * For the inline launcher: the runtime's face on an application that is already booted as a whole, so that what a unit
 * test did to it (egg-mock's `app.mockService`, `app.mockHttpclient`, …) also holds inside functions. Runs in the
 * process of the test.
 */
import type { BootedApplication } from '../../runtime/application';
import type { EggApplication } from './egg_types';
import { eggFace } from './egg_scope';

/** `close()` of the result does nothing: the application belongs to whoever booted it. */
export function wrapEgg(app: unknown): BootedApplication {
  return eggFace(app as EggApplication, () => Promise.resolve());
}
