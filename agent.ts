/**
 * Egg's agent: lifecycle only. The scheduler lives here.
 */
import { eggEnvironment, isSingle, type EggProcess } from './lib/entry/egg_host';
import { createScheduler } from './lib/entry/agent_host';
import type { Scheduler } from './lib/scheduler/scheduler';
import type { HostEnvironment } from './lib/support/host_environment';

interface Agent extends EggProcess {
  readonly messenger: { on(event: string, listener: () => void): void };
  readonly watcher?: { watch(path: string[], listener: (info: { path: string; isDirectory?: boolean }) => void): void };
}

/** Of egg-development: directories whose files do not make it reload the workers. */
interface DevelopmentConfig {
  ignoreDirs?: string[];
}

export default class CartonAgent {
  readonly #agent: Agent;
  #environment: HostEnvironment | undefined;
  #scheduler: Scheduler | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configWillLoad(): void {
    const carton = this.#agent.config.carton as { functionDirectory?: string; specFile?: string };
    const development = this.#agent.config['development'] as DevelopmentConfig | undefined;
    // Functions are reloaded by themselves: the workers have nothing of them.
    development?.ignoreDirs?.push(carton.functionDirectory ?? 'app/function', carton.specFile ?? 'config/function');
  }

  async didLoad(): Promise<void> {
    this.#environment = eggEnvironment(this.#agent);
    const inline = this.#environment.config.launcher === 'inline' || (this.#environment.config.launcher === 'auto' && isSingle(this.#agent) && this.#agent.config.env === 'unittest');
    this.#scheduler = createScheduler(this.#environment, { inline });
    this.#agent.messenger.on('log-reload', () => this.#scheduler?.reloadLogs());
    await this.#scheduler.start();
    if (this.#environment.development) this.#watch(this.#scheduler);
  }

  async beforeClose(): Promise<void> {
    await this.#scheduler?.close();
  }

  #watch(scheduler: Scheduler): void {
    const { baseDir } = this.#agent;
    this.#agent.watcher?.watch([`${baseDir}/app`, `${baseDir}/config`], (info) => {
      if (info.isDirectory !== true) void scheduler.fileChanged(info.path);
    });
  }
}
