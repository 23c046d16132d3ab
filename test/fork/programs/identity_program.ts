/**
 * Forks tell who they are and how old. The template has aged, and holds the functions that tell.
 */
import { fork as forkScript } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { TemplateProgram } from '../../../lib/fork/program';
import { shapes, times } from './identity_facts';

export interface Told {
  readonly pid: number;
  readonly ofProc: string;
  readonly commandLine: string;
  readonly shapes: ReturnType<typeof shapes>;
  readonly times: ReturnType<typeof times>;
  /** In milliseconds: clocks of this process, in the order in which they were read. */
  readonly clocks: readonly number[];
  readonly wall: { readonly before: number; readonly told: number; readonly after: number };
  /** Since the epoch, when the template had booted. */
  readonly warmedAt: number;
  readonly timeOrigin: number;
  readonly execArgv: readonly string[];
  readonly ofChild: unknown;
}

interface State {
  readonly warmedAt: number;
  readonly uptime: () => number;
  readonly now: () => number;
}

const program: TemplateProgram<State> = {
  warm() {
    const now = performance.now.bind(performance);
    return { warmedAt: performance.timeOrigin + now(), uptime: process.uptime, now };
  },

  run({ channel }, { warmedAt, uptime, now }) {
    const clocks = [performance.now(), uptime() * 1000, now(), process.uptime() * 1000, performance.now()];
    const wall = { before: Date.now(), told: performance.timeOrigin + performance.now(), after: Date.now() };
    process.title = 'carton-identity-test';
    const child = forkScript(join(__dirname, 'identity_child.js'));
    child.once('message', (ofChild) => {
      const told: Told = {
        pid: process.pid, ofProc: readFileSync('/proc/self/stat', 'latin1').split(' ', 1)[0] as string,
        commandLine: readFileSync('/proc/self/cmdline', 'latin1').replaceAll('\0', ''),
        shapes: shapes(), times: times(), clocks, wall, warmedAt, timeOrigin: performance.timeOrigin, execArgv: process.execArgv, ofChild,
      };
      channel.end(JSON.stringify(told));
    });
  },
};

module.exports = program;
