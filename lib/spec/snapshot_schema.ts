/**
 * The part of the configuration's schema that is about snapshots: `carton.snapshot`. Runs at boot.
 */
import * as v from 'valibot';
import { boolean, documented, exactObject, list, text } from './checks';

const MAX_WARM_UPS = 100;

const warmUp = exactObject({
  function: text((value) => value !== '', 'the name of a function'),
  args: v.optional(v.array(v.unknown(), 'an array of arguments'), () => []),
}, 'an object { function, args }');

export const SNAPSHOT_KEYS = {
  enable: documented(boolean(), {
    description: 'Whether function processes load the application from a snapshot. Never where files change: in development (env `local`) and in unit tests (env `unittest`).',
    unit: '',
    default: true,
    effect: 'Where there is none, or it does not fit, the application is loaded from its files, and the log says why.',
  }),
  build: documented(boolean(), {
    description: 'Whether the agent builds a snapshot in the background where there is none that fits, once the host is ready.',
    unit: '',
    default: true,
    effect: 'Where it cannot be built or written, the log says why, once; the next start tries again.',
  }),
  warmUps: documented(list(warmUp, 'objects { function, args }', MAX_WARM_UPS), {
    description: 'Invocations that are made while a snapshot is built, so that what they run is in its compile cache, and in templates of the application and a fork of each, some times, so that no instance is the first to run it. They really run: name only what may.',
    unit: '',
    default: [],
    effect: 'One that fails is told as a warning.',
  }),
};
