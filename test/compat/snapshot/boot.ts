/**
 * Boots an application of the comparison in one of the two roles that load from snapshots. Runs in a process of its own,
 * which ends after it.
 */
import { setImmediate } from 'node:timers/promises';
import type { SnapshotRole } from '../../../lib/snapshot/manifest';
import { functionRole } from '../../../lib/entry/application/function_role';
import { applicationOf } from '../../../lib/entry/application/role';
import { StubAgent } from '../../../lib/entry/application/stub_agent';
import type { ApplicationClass, EggApplication } from '../../../lib/entry/application/egg_types';

export interface BootOptions {
  readonly role: SnapshotRole;
  readonly baseDir: string;
  /** Absolute path of the framework's directory. */
  readonly framework: string;
  /** Beside baseDir and mode: env and plugins. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether a host has a real agent in its process, as in Egg's single mode, or none, as in app workers. */
  readonly agent: boolean;
}

interface Framework {
  readonly Application: ApplicationClass;
  readonly Agent: ApplicationClass;
}

async function bootHost({ Application, Agent }: Framework, options: Record<string, unknown>, withAgent: boolean): Promise<EggApplication> {
  const agent = withAgent ? new Agent({ ...options }) : undefined;
  await agent?.ready();
  const app = new Application({ ...options });
  app.agent = agent ?? new StubAgent(app);
  if (agent !== undefined) Object.assign(agent, { application: app });
  return app;
}

/** Rejects with the application's own error if it cannot boot. */
export async function boot({ role, baseDir, framework: place, options, agent }: BootOptions): Promise<EggApplication> {
  const framework = require(place) as Framework;
  const all = { ...options, baseDir, mode: 'single' };
  const app = role === 'host'
    ? await bootHost(framework, all, agent)
    : new (applicationOf(framework.Application, functionRole(['carton'])))(all);
  await app.ready();
  app.messenger.broadcast('egg-ready');
  // Hooks after it await nothing from outside in these applications.
  await setImmediate();
  await setImmediate();
  return app;
}
