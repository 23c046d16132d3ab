/**
 * Forks end in one of the ways of exits_cases.ts.
 */
import type { TemplateProgram } from '../../../lib/fork/program';
import { CASES, REJECTIONS } from './exits_cases';

const program: TemplateProgram<null> = {
  warm: () => null,
  run({ channel, argument }) {
    // A fresh process has none that would keep it.
    channel.unref();
    ({ ...CASES, ...REJECTIONS })[argument as string]?.();
  },
};

export = program;
