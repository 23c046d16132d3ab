/**
 * Egg's agent: lifecycle only. The scheduler lives here.
 */
import { clientPlanOf, eggEnvironment, isSingle, runsInline, type EggProcess } from './lib/entry/egg_host';
import { AgentHost } from './lib/entry/agent_host';
import { describeHost } from './lib/entry/recording/describe_host';
import { isRecording, setRecordedHost } from './lib/entry/recording/state';
import { registration } from './lib/entry/registration';
import type { Scheduler } from './lib/scheduler/scheduler';
import { tableOf } from './lib/spec/clients';
import type { Timer } from './lib/support/clock';
import type { HostEnvironment } from './lib/support/host_environment';

interface Agent extends EggProcess {
  carton: Scheduler;
  readonly messenger: { on(event: string, listener: () => void): void };
  readonly watcher?: { watch(path: string[], listener: (info: { path: string; isDirectory?: boolean }) => void): void };
}

/** Of egg-development: directories whose files do not make it reload the workers. */
interface DevelopmentConfig {
  ignoreDirs?: string[];
}

/** Milliseconds for which no file changes before a change is looked at: saving one makes several events. */
const QUIET_MS = 50;

export default class CartonAgent {
  readonly #agent: Agent;
  #environment: HostEnvironment | undefined;
  #host: AgentHost | undefined;
  #quiet: Timer | undefined;

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  configWillLoad(): void {
    const carton = this.#agent.config.carton as { functionDirectory?: string; specFile?: string };
    const development = this.#agent.config['development'] as DevelopmentConfig | undefined;
    // Functions are reloaded by themselves: the workers have nothing of them.
    const specFile = carton.specFile ?? 'config/function';
    development?.ignoreDirs?.push(carton.functionDirectory ?? 'app/function', `${specFile}.ts`, `${specFile}.js`);
  }

  async didLoad(): Promise<void> {
    this.#environment = eggEnvironment(this.#agent);
    const inline = runsInline(this.#agent, this.#environment);
    const host = new AgentHost(this.#environment, { inline, settings: this.#agent.config });
    this.#agent.carton = host.scheduler;
    if (isRecording()) return setRecordedHost(describeHost(this.#environment));
    this.#host = host;
    this.#agent.messenger.on('log-reload', () => host.reloadLogs());
    if (!inline) this.#tellClients(this.#environment);
    await host.start();
    if (this.#environment.development) this.#watch(host.scheduler, this.#environment);
  }

  async didReady(): Promise<void> {
    // In single mode the application is loaded after the agent, in the same process.
    if (!isSingle(this.#agent)) registration()?.replay?.settle();
  }

  async serverDidReady(): Promise<void> {
    this.#host?.ready();
  }

  async beforeClose(): Promise<void> {
    this.#quiet?.cancel();
    await this.#host?.close();
  }

  #tellClients({ config, log }: HostEnvironment): void {
    const { rows } = clientPlanOf(this.#agent, config);
    if (rows.length > 0) log.info(`middleware clients of functions:\n  ${tableOf(rows).join('\n  ')}`);
  }

  /** Instances notice changes by themselves; to hear of them early only saves time. */
  #watch(scheduler: Scheduler, { clock }: HostEnvironment): void {
    const { baseDir } = this.#agent;
    const changed = new Set<string>();
    this.#agent.watcher?.watch([`${baseDir}/app`, `${baseDir}/config`], ({ path, isDirectory }) => {
      if (isDirectory === true) return;
      changed.add(path);
      this.#quiet?.cancel();
      this.#quiet = clock.after(QUIET_MS, () => {
        for (const file of changed) void scheduler.fileChanged(file);
        changed.clear();
      });
    });
  }
}
