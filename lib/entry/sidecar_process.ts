/**
 * Entry of a sidecar: boots the middleware plugins of an application, and serves their clients to its function processes
 * until it is drained, abandoned, or its host is gone.
 */
import { rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { systemClock } from '../support/clock';
import { CartonError, toWire } from '../support/errors';
import { HostDirectory } from '../support/host_directory';
import { killGroup, watchHost } from '../support/host_process';
import { METHOD, type InstanceReady } from '../protocol/control';
import type { SidecarBoot } from '../protocol/sidecar';
import { acceptSession, sameToken } from '../rpc/handshake';
import { AgentLink } from '../runtime/agent_link';
import { CHANNEL_FD } from '../sandbox/channel';
import type { SidecarOptions } from '../../plugin-sidecar/lib/client_server';
import { closeEgg, startEgg } from './application/egg';
import type { EggApplication } from './application/egg_types';
import { SIDECAR_PLUGIN, SIDECAR_PLUGIN_PATH, sidecarRole } from './application/sidecar_role';

/** Milliseconds that the application's `beforeClose` hooks may take. */
const CLOSE_MS = 1_000;

const boot = JSON.parse(process.argv[2] ?? '') as SidecarBoot;
const { id, name, hash, application, held, hostProcess } = boot;
const directory = new HostDirectory(boot.directory, hostProcess, application.baseDir);
const socketPath = directory.instanceSocket(id);
process.title = `egg-carton: sidecar ${name} of ${application.name}`;
watchHost(hostProcess, systemClock, () => killGroup(process.pid));
// Ctrl-C in a terminal is the host's to handle.
process.on('SIGINT', () => undefined);
// At a shutdown all of a host's processes get it at once. The agent says when nobody needs this one any more.
process.on('SIGTERM', () => systemClock.after(boot.drainTimeoutMs, () => void end()));

let app: EggApplication | undefined;
let isReady = false;
let ending: Promise<void> | undefined;

const agent = new AgentLink({
  clock: systemClock,
  onEvent: (method) => onControl(method),
  onCall: (call) => call.fail(toWire(new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control event', got: `method ${call.method}` }))),
  onAbandoned: () => void end(),
  load: () => ({ inflight: 0, served: 0 }),
});
agent.graceMs = boot.agentGraceMs;
const channel = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
acceptSession(channel, () => ({ welcome: {}, handlers: (session) => agent.attach(session) }), { limitMs: null });
channel.once('close', () => agent.channelClosed());

const serving: SidecarOptions = {
  held,
  socketPath,
  clock: systemClock,
  tokenOf: (claims) => directory.token(`sidecar:${claims}`),
  authorizeAgent: (token) => (sameToken(token, directory.token(`control:${id}`)) ? {
    welcome: {},
    handlers: (session) => {
      const handlers = agent.attach(session);
      agent.ready(status());
      return handlers;
    },
  } : undefined),
};

void start();

async function start(): Promise<void> {
  const plugins = { ...(application.options['plugins'] as object | undefined), [SIDECAR_PLUGIN]: { enable: true, path: SIDECAR_PLUGIN_PATH } };
  try {
    app = await startEgg(application, sidecarRole(held), { options: { plugins, [SIDECAR_PLUGIN]: serving } });
    isReady = true;
    agent.ready(status());
  } catch (error) {
    const failure = error instanceof CartonError ? error : new CartonError('CARTON_SIDECAR_BOOT_FAILED', { of: name, got: error instanceof Error ? error.stack ?? error.message : String(error) });
    agent.failed({ error: toWire(failure) });
    await agent.told();
    process.exitCode = 1;
    agent.close();
    systemClock.after(CLOSE_MS, () => process.exit(1));
  }
}

function status(): InstanceReady {
  return { id, pid: process.pid, group: name, revision: hash, draining: ending !== undefined, inflight: 0, served: 0 };
}

function onControl(method: number): void {
  if (method === METHOD.drain) void end();
  else if (method === METHOD.reloadLogs) app?.loggers.reload();
  else throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'a control event', got: `method ${method}` });
}

/** Those who are connected finish first: instances end with the same host, and they call to the last. */
function end(): Promise<void> {
  ending ??= (async () => {
    await serving.server?.drained(boot.drainTimeoutMs);
    rmSync(socketPath, { force: true });
    systemClock.after(CLOSE_MS, () => process.exit(0));
    if (isReady && app !== undefined) await closeEgg(app);
    agent.close();
    process.exit(0);
  })();
  return ending;
}
