/**
 * Entry of a function process: has everything else loaded from a snapshot if the agent knows one, then serves as an
 * instance until it is drained, abandoned, or its host is gone. What this file imports is loaded without help.
 */
import { Socket } from 'node:net';
import { startReplay, type Replay } from '../snapshot/replay';
import type { ProcessBoot } from '../protocol/control';
import type { useCompileCache } from '../snapshot/compile_cache';
import { CartonError, describeWithCode } from '../support/errors';
import type { runInstance } from './instance_process';

const boot = readBoot(process.argv[2]);
const replay = replayed(boot);

// Only now, so that it comes from the snapshot.
const entry = require('./instance_process') as { runInstance: typeof runInstance; CHANNEL_FD: number };
const { application } = entry.runInstance(boot, {
  channel: new Socket({ fd: entry.CHANNEL_FD, readable: true, writable: true }),
  onEnd: (code) => process.exit(code),
});
application.then(() => replay?.settle(), () => undefined);

function replayed({ snapshot, compileCache, application: place }: ProcessBoot): Replay | undefined {
  if (snapshot !== null) {
    try {
      return startReplay(snapshot, { baseDir: place.baseDir, framework: place.entry });
    } catch (error) {
      // Not on stderr: egg-scripts takes a line there for a failed start.
      process.stdout.write(`[egg-carton] ${describeWithCode(error)}\n`);
    }
  }
  if (compileCache !== null) (require('../snapshot/compile_cache') as { useCompileCache: typeof useCompileCache }).useCompileCache(compileCache);
  return undefined;
}

function readBoot(argument: string | undefined): ProcessBoot {
  try {
    return JSON.parse(argument ?? '') as ProcessBoot;
  } catch (cause) {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', { expected: 'a boot message as JSON in the first argument', got: String(argument), cause });
  }
}
