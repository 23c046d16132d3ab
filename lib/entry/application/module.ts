/**
 * Boots the application of a host without Egg: one module that hands over what functions may use. Runs in function
 * processes.
 */
import type { BootedApplication, FunctionLogger } from '../../runtime/application';
import type { ApplicationDescriptor } from '../../support/host_environment';
import { CartonError } from '../../support/errors';
import { ServiceMocks } from './service_mocks';

/** What a module's exported `boot` is called with. */
export interface ModuleBootOptions {
  readonly baseDir: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What it returns; everything may be left out. */
export interface BootedModule {
  /** `ctx.config` of functions. @default {} */
  readonly config?: Readonly<Record<string, unknown>>;
  /** `ctx.service` of functions, the same object for all invocations. @default {} */
  readonly service?: object;
  /** @default console */
  readonly logger?: FunctionLogger;
  /** Called when the process ends in order. */
  close?(): Promise<void> | void;
}

type Boot = (options: ModuleBootOptions) => Promise<BootedModule | undefined> | BootedModule | undefined;

function loadBoot(descriptor: ApplicationDescriptor): Boot | undefined {
  const exported = require(descriptor.entry) as { boot?: unknown } | null | undefined;
  const boot = exported?.boot;
  if (boot !== undefined && typeof boot !== 'function') {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', {
      of: `module ${descriptor.entry}`,
      expected: 'the export "boot" to be a function, or no such export',
      got: typeof boot,
    });
  }
  return boot as Boot | undefined;
}

/** Rejects with what the module threw. */
export async function bootModule(descriptor: ApplicationDescriptor): Promise<BootedApplication> {
  const { baseDir, options } = descriptor;
  const booted = (await loadBoot(descriptor)?.({ baseDir, options })) ?? {};
  const service = booted.service ?? {};
  const mocks = new ServiceMocks(() => service);
  return {
    baseDir,
    config: booted.config ?? {},
    logger: booted.logger ?? console,
    createScope: () => ({ service, run: (call) => call() }),
    // Log files are the module's own affair; console writes to none.
    reloadLogs: () => undefined,
    setMocks: (list) => mocks.set(list),
    close: async () => booted.close?.(),
  };
}
