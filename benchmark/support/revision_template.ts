/**
 * Templates of an application, made as a host's agent makes them, in the process of the benchmark: what is measured of
 * them has no scheduler and no HTTP in it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from '../../lib/fork/template';
import type { HostEnvironment } from '../../lib/support/host_environment';
import type { FunctionSpec } from '../../lib/spec/types';
import { functionFlags } from '../../lib/sandbox/flags';
import type { RevisionArgument, RevisionPlan } from '../../lib/entry/template/revision_program';
import type { RootArgument } from '../../lib/entry/template/root_program';

const ENTRY = join(__dirname, '../../lib/entry/template_process.js');
const ROOT = join(__dirname, '../../lib/entry/template/root_program.js');
const REVISION = join(__dirname, '../../lib/entry/template/revision_program.js');

export interface Templates {
  readonly root: Template;
  readonly revision: Template;
  close(): Promise<void>;
}

export interface TemplateSubject {
  readonly environment: HostEnvironment;
  readonly functions: readonly FunctionSpec[];
  readonly env: Readonly<Record<string, string>>;
}

export async function startTemplates({ environment, functions, env }: TemplateSubject): Promise<Templates> {
  const { application, config, hostProcess, development } = environment;
  const directory = mkdtempSync(join(tmpdir(), 'carton-plan-'));
  const rootArgument: RootArgument = { application, snapshot: null, framework: 'boot', directory };
  const plan: RevisionPlan = { isQuick: false, boot: { application, hostProcess, development, snapshot: null, compileCache: null }, functions, warmUps: config.snapshot.warmUps };
  const argument: RevisionArgument = { planPath: join(directory, 'template.json'), directory };
  writeFileSync(argument.planPath, JSON.stringify(plan));
  const root = await Template.start({ entry: ENTRY, program: ROOT, argument: rootArgument, execArgv: functionFlags(config), cwd: application.baseDir, env: { ...process.env, ...env, ...QUIET } });
  try {
    const revision = await root.derive({ program: REVISION, argument });
    return { root, revision, close: () => closeAll([revision, root]) };
  } catch (error) {
    await closeAll([root]);
    throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What a benchmark prints on stdout is its result. Egg's console loggers take this before anything else. */
export const QUIET = Object.freeze({ EGG_LOG: 'NONE' });

async function closeAll(templates: readonly Template[]): Promise<void> {
  for (const template of templates) {
    template.close();
    await template.ended;
  }
}
